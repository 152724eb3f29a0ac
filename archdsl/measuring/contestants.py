"""The networks that are compared: how each is made, given its weights, fed and stepped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from archdsl.backend import build
from archdsl.backend.compilation import compile_stages
from archdsl.backend.inference import frozen_if_foldable
from archdsl.backend.passes import parse_lower, passes_taken
from archdsl.backend.precision import autocast_to
from archdsl.backend.user_modules import function_in_file, network_made_by
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.measuring.timer import StepFunction
from archdsl.report.lowering_policy import PassChoices

CopyWeights = Callable[[nn.Module, nn.Module], object]
LEARNING_RATE = 1e-6
"""The rate of the SGD steps that are timed: what a step costs does not depend on it, and the weights stay near."""


def copy_in_order(ours: nn.Module, peer: nn.Module) -> None:
    """Our weights into a network that has the same tensors in the same order. Raises SpecError where it has not."""
    mine, theirs = ours.state_dict(), peer.state_dict()
    pairs = list(zip(mine.items(), theirs.items()))
    differing = [(a, b) for a, b in pairs if a[1].shape != b[1].shape]
    if len(mine) == len(theirs) and not differing:
        peer.load_state_dict({theirs_key: value for (_, value), (theirs_key, _) in pairs})
        return
    got, want = f"{len(theirs)} tensors", f"{len(mine)} tensors"
    if differing:
        (own_key, own), (key, value) = differing[0]
        got, want = f"{key} {tuple(value.shape)}", f"{own_key} {tuple(own.shape)}"
    fix = "a function copy(ours, peer) in the peer's file, which fills the peer's weights"
    raise SpecError("a peer whose weights are not ours in the same order", got=got, want=want, fix=fix)


def copy_by_name(ours: nn.Module, other: nn.Module) -> None:
    """The weights of a network into the same one, lowered."""
    other.load_state_dict(ours.state_dict())


@dataclass(frozen=True)
class Contestant:
    """One network of a comparison."""

    name: str
    make: Callable[[], nn.Module]
    copy: CopyWeights = copy_in_order
    """Fills its weights from those of our literal network."""
    prepare: Callable[[nn.Module], nn.Module] = lambda network: network
    """Applied once it has its weights: freezing, a layout, a compiler."""
    feed: Callable[[Any], Any] = lambda clips: clips
    """From the clips that our networks take to what this one takes."""


def peer_contestant(text: str) -> Contestant:
    """A peer written FILE.py:make_model. Raises SpecError where there is none.

    The file may also have copy(ours, peer) and feed(clips), where a peer's weights or its argument are not as ours.
    """
    module, name = function_in_file(text, "a peer")
    extra: dict[str, Any] = {key: value for key in ("copy", "feed") if (value := getattr(module, key, None))}
    return Contestant(name, lambda: network_made_by(getattr(module, name), name), **extra)


def outputs_of(side: Contestant, network: nn.Module, clips: Any) -> Any:
    """What a side's network says to its clips. Raises SpecError where it cannot take them."""
    try:
        return network(side.feed(clips))
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "a function feed(clips) in the peer's file, which gives what the peer takes"
        raise SpecError(f"{side.name} does not take our clips", got=first, want=clip_shapes(clips), fix=fix) from None


def clip_shapes(clips: Any) -> str:
    """The shapes of clips."""
    if isinstance(clips, Mapping):
        return ", ".join(f"{name} {tuple(clip.shape)}" for name, clip in clips.items())
    return str(tuple(clips.shape))


def tensors(outputs: Any) -> list[Tensor]:
    """Outputs as a list, whether there is one or a dict of them."""
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def error_of(outputs: Any, base: Any) -> float:
    """The largest difference over the largest value, over all outputs. Raises SpecError where shapes differ."""
    pairs = list(zip(tensors(outputs), tensors(base)))
    for one, other in pairs:
        if one.numel() != other.numel():
            raise SpecError(
                "networks whose outputs differ in shape", got=f"{tuple(one.shape)}", want=f"{tuple(other.shape)}"
            )
    return max(float((a.reshape(b.shape) - b).abs().max() / b.abs().max()) for a, b in pairs)


def loss_of(outputs: Any) -> Tensor:
    """Cross entropy against class 0, summed over outputs."""
    losses = []
    for scores in tensors(outputs):
        labels = torch.zeros(scores.shape[0], *scores.shape[2:], dtype=torch.long, device=scores.device)
        losses.append(cross_entropy(scores.float(), labels))
    return torch.stack(losses).sum()


def timed_step(side: Contestant, network: nn.Module, clips: Any, train: bool, precision: str = "fp32") -> StepFunction:
    """What is timed: one forward, or forward, backward and a step of SGD. The peer's packing of clips is not."""
    device = tensors(clips)[0].device
    fed = side.feed(clips)
    given = (
        (lambda: list(fed)) if isinstance(fed, list) else (lambda: fed)
    )  # PyTorchVideo writes over a list it is given

    def forward() -> Any:
        with autocast_to(precision, device):
            return network(given())

    if not train:
        return torch.inference_mode()(forward)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=0.9)

    def step() -> None:
        loss_of(forward()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def randomize_norms(network: nn.Module) -> None:
    """Norms that do something, so that folding a wrong one, or a residual branch that is off, shows.

    Matrices that start at 0 are drawn, too.
    """
    for matrix in (p for p in network.parameters() if p.ndim > 1 and not p.any()):
        nn.init.normal_(matrix, std=0.02)
    for layer_norm in (m for m in network.modules() if isinstance(m, nn.LayerNorm) and m.elementwise_affine):
        nn.init.uniform_(layer_norm.weight, 0.5, 1.5)
        nn.init.normal_(layer_norm.bias, std=0.1)
    for norm in (m for m in network.modules() if isinstance(getattr(m, "running_var", None), Tensor)):
        for value in (norm.weight, norm.running_var):
            if isinstance(value, Tensor):
                nn.init.uniform_(value, 0.5, 1.5)
        for value in (norm.bias, norm.running_mean):
            if isinstance(value, Tensor):
                nn.init.normal_(value, std=0.1)


def without_dropout(network: nn.Module) -> None:
    """Dropout switched off in training, so that losses can be compared."""
    for module in network.modules():
        if isinstance(getattr(module, "p", None), float) and "Dropout" in type(module).__name__:
            module.p = 0.0  # type: ignore[assignment]


def own_contestant(
    plan: Plan, lower: str | PassChoices, *, train: bool, device: str, compiled: bool = False
) -> Contestant:
    """Our network, lowered as asked or by the passes of a row; frozen for inference. `auto` is what pays on the device.

    Stages are compiled on request. Raises SpecError for names that are no lowering.
    """
    which = parse_lower(lower) if isinstance(lower, str) else lower
    taken = passes_taken(which, train=train, device=torch.device(device).type)

    def prepare(network: nn.Module) -> nn.Module:
        network = network if train else frozen_if_foldable(network)
        return compile_stages(network, plan) if compiled else network

    name = (lower if isinstance(lower, str) else ", ".join(taken)) + " compiled" * compiled
    return Contestant(name, lambda: build(plan, taken, train=train), copy_by_name, prepare)
