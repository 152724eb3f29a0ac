"""The optimiser of a recipe: parameter groups, rates, weight decay, moving average."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.language.recipes.optimizer import LayerDecay, ParameterGroup
from archdsl.language.recipes.optimizer import Optimizer as Wanted

FUSED_ON = ("cpu", "cuda")
"""Types of devices for which torch has fused optimisers and archdsl is meant."""


def make_optimizer(network: nn.Module, wanted: Wanted) -> Optimizer:
    """The recipe's over the parameters that are not frozen. Raises SpecError where all are.

    One kernel takes the whole step where torch has one. On a CPU (2.13) it reads a gradient in the order of its memory:
    autograd gives a gradient the layout of its weight.
    """
    groups = list(parameter_groups(network, wanted))
    if not groups:
        raise nothing_to_train(network, wanted)
    weights = [one for group in groups for one in group["params"]]
    fused = all(map(has_fused_step, weights))
    match wanted.kind:
        case "adam" | "adamw":
            kind = AdamW if wanted.kind == "adamw" else Adam
            return kind(groups, lr=wanted.rate, betas=wanted.betas, eps=wanted.eps, fused=fused)
        case "rmsprop":
            alpha, eps, momentum = wanted.square_decay, wanted.eps, wanted.momentum
            return RMSprop(groups, lr=wanted.rate, alpha=alpha, eps=eps, momentum=momentum)
        case "adagrad":
            fused = fused and all(one.device.type == "cpu" for one in weights)  # torch 2.13 has no kernel for GPUs
            return Adagrad(groups, lr=wanted.rate, eps=wanted.eps, fused=fused)
    nesterov = wanted.nesterov and wanted.momentum > 0
    return SGD(groups, lr=wanted.rate, momentum=wanted.momentum, nesterov=nesterov, fused=fused)


def has_fused_step(weights: Tensor) -> bool:
    """Whether torch has one kernel for the step of a tensor: for shards it has none of SGD (2.13)."""
    return weights.device.type in FUSED_ON and not isinstance(weights, DTensor)


def nothing_to_train(network: nn.Module, wanted: Wanted) -> SpecError:
    """The error of a network without trainable parameters."""
    names = [name for name, _ in network.named_parameters()]
    return SpecError(
        "no parameters to train",
        at="recipe.optimizer.groups" if names else None,
        written=wanted.written,
        got=f"{len(names)} parameters, all of them frozen" if names else "a network without parameters",
        want="a parameter whose rate is above 0",
        fix="groups: []" if names else "choose another arch: this one can only be evaluated",
    )


def parameter_groups(network: nn.Module, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Groups of parameters with one rate multiplier (`times`) and one weight decay."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    layers = layer_rates([name for name, _ in network.named_parameters()], wanted.layer_decay)
    for name, weights in network.named_parameters():
        if weights.requires_grad:
            times, decay = parameter_settings(name, weights, wanted)
            found.setdefault((times * layers.get(name, 1.0), decay), []).append(weights)
    for (times, decay), members in found.items():
        yield {"params": members, "times": times, "weight_decay": decay}


def parameter_settings(name: str, weights: Tensor, wanted: Wanted) -> tuple[float, float]:
    """(rate multiplier, weight decay) of a parameter. Norms and biases have one axis at most."""
    group = matching_group(name, wanted.groups)
    decay = wanted.weight_decay if weights.ndim > 1 or wanted.decay_norms else 0.0
    if group is None:
        return 1.0, decay
    return group.rate, decay if group.weight_decay is None else group.weight_decay


def layer_rates(names: list[str], decay: LayerDecay | None) -> dict[str, float]:
    """Rate multiplier of each parameter by the layer it stands in. Raises SpecError where nothing is a layer."""
    if decay is None:
        return {}
    length = decay.match.count(".") + 1
    starts = [".".join(name.split(".")[:length]) for name in names]
    layers = list(dict.fromkeys(start for start in starts if fnmatchcase(start, decay.match)))
    if not layers:
        raise SpecError(
            f"layers that match no parameter: {decay.match!r}",
            at="recipe.optimizer.layer_decay.match",
            written=decay.written,
            got=decay.match,
            want="the start of addresses with * and ?, such as main.body.*",
            fix=did_you_mean(decay.match, starts),
        )
    first = starts.index(layers[0])
    depth = {layer: len(layers) - i for i, layer in enumerate(layers)}
    above = [depth.get(start, len(layers) + 1 if i < first else 0) for i, start in enumerate(starts)]
    return {name: decay.times**steps for name, steps in zip(names, above)}


def matching_group(name: str, groups: tuple[ParameterGroup, ...]) -> ParameterGroup | None:
    """The first group whose pattern matches an address."""
    return next((group for group in groups if fnmatchcase(name, group.match)), None)


def freeze_groups(network: nn.Module, groups: tuple[ParameterGroup, ...]) -> None:
    """Freeze parameters of groups whose rate is 0. Raises SpecError for a group that matches no parameter."""
    names = [name for name, _ in network.named_parameters()]
    idle = [group for group in groups if not any(fnmatchcase(name, group.match) for name in names)]
    if idle:
        raise SpecError(
            Fault(
                what=f"a group that matches no parameter: {group.match!r}",
                at="recipe.optimizer.groups",
                written=group.written,
                got=group.match,
                want="an address with * and ?, such as " + names[0],
                fix=did_you_mean(group.match, names),
            )
            for group in idle
        )
    for name, weights in network.named_parameters():
        group = matching_group(name, groups)
        if group is not None and group.rate == 0:
            weights.requires_grad_(False)


def state_slots(optimizer: Optimizer) -> dict[str, Tensor | None]:
    """Optimiser state per parameter, by name; None for tensors of the parameter's own shape.

    Read from a dummy optimiser of the same type after one step.
    """
    one = nn.Parameter(torch.zeros(2, device=optimizer.param_groups[0]["params"][0].device))
    one.grad = torch.zeros_like(one)
    other = type(optimizer)([optimizer.param_groups[0] | {"params": [one]}])  # type: ignore[call-arg]
    other.step()
    kept = {slot: value for slot, value in other.state[one].items() if isinstance(value, Tensor)}
    return {slot: None if value.shape == one.shape else value for slot, value in kept.items()}


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of every group: the schedule's times the group's multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["times"]


class MovingAverage:
    """The moving average of a network's parameters.  average = decay x average + (1 - decay) x weights"""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.weights = {name: weights.detach().clone() for name, weights in network.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's weights."""
        for name, weights in self.network.named_parameters():
            self.weights[name].lerp_(weights, 1 - self.decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average with the network's weights; a second call undoes it."""
        for name, weights in self.network.named_parameters():
            kept = weights.detach().clone()
            weights.copy_(self.weights[name])
            self.weights[name].copy_(kept)
