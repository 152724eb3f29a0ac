"""The optimiser of a recipe: which parameters move, how fast, with how much decay."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.language.recipes.optimizer import Group
from archdsl.language.recipes.optimizer import Optimizer as Wanted


def optimizer_of(network: nn.Module, wanted: Wanted) -> Optimizer:
    """SGD or AdamW over the network's parameters that are not held fixed. Raises SpecError where all are."""
    groups = list(groups_of(network, wanted))
    if not groups:
        raise nothing_to_train(network, wanted)
    if wanted.kind == "adamw":
        return AdamW(groups, lr=wanted.rate, betas=wanted.betas, eps=wanted.eps)
    nesterov = wanted.nesterov and wanted.momentum > 0
    return SGD(groups, lr=wanted.rate, momentum=wanted.momentum, nesterov=nesterov)


def nothing_to_train(network: nn.Module, wanted: Wanted) -> SpecError:
    """The error of a network in which nothing can change: without parameters, or with every one held fixed."""
    names = [name for name, _ in network.named_parameters()]
    return SpecError(
        "no parameters to train",
        at="recipe.optimizer.groups" if names else None,
        written=wanted.written,
        got=f"{len(names)} parameters, all of them held fixed" if names else "a network without parameters",
        want="a parameter whose rate is above 0",
        fix="groups: []" if names else "another arch: this one can only be evaluated",
    )


def groups_of(network: nn.Module, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Parameters that share a multiple of the rate and a weight decay.  `times` is the multiple."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weights in network.named_parameters():
        if weights.requires_grad:
            found.setdefault(settings(name, weights, wanted), []).append(weights)
    for (times, decay), members in found.items():
        yield {"params": members, "times": times, "weight_decay": decay}


def settings(name: str, weights: Tensor, wanted: Wanted) -> tuple[float, float]:
    """(multiple of the rate, weight decay) of a parameter. Norms and biases have one axis at most."""
    group = group_of(name, wanted.groups)
    decay = wanted.weight_decay if weights.ndim > 1 or wanted.decay_norms else 0.0
    if group is None:
        return 1.0, decay
    return group.rate, decay if group.weight_decay is None else group.weight_decay


def group_of(name: str, groups: tuple[Group, ...]) -> Group | None:
    """The first group whose pattern matches an address."""
    return next((group for group in groups if fnmatchcase(name, group.match)), None)


def hold_fixed(network: nn.Module, groups: tuple[Group, ...]) -> None:
    """No gradient for parameters of groups whose rate is 0. Raises SpecError for a group that matches nothing."""
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
        group = group_of(name, groups)
        if group is not None and group.rate == 0:
            weights.requires_grad_(False)


def slots_of(optimizer: Optimizer) -> dict[str, Tensor | None]:
    """What an optimiser keeps for each parameter, by name; None for what is shaped like it.

    Looked up after a step of another optimiser like it.
    """
    one = nn.Parameter(torch.zeros(2))
    one.grad = torch.zeros(2)
    other = type(optimizer)([optimizer.param_groups[0] | {"params": [one]}])  # type: ignore[call-arg]
    other.step()
    kept = {slot: value for slot, value in other.state[one].items() if isinstance(value, Tensor)}
    return {slot: None if value.shape == one.shape else value for slot, value in kept.items()}


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """The learning rate of every group: the multiple it has of the schedule's."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["times"]


class Average:
    """The moving average of a network's parameters.  average = decay x average + (1 - decay) x weights"""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.weights = {name: weights.detach().clone() for name, weights in network.named_parameters()}

    @torch.no_grad()
    def follow(self) -> None:
        """One step towards the network's weights."""
        for name, weights in self.network.named_parameters():
            self.weights[name].lerp_(weights, 1 - self.decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average into the network and its weights here; once more to undo it."""
        for name, weights in self.network.named_parameters():
            kept = weights.detach().clone()
            weights.copy_(self.weights[name])
            self.weights[name].copy_(kept)
