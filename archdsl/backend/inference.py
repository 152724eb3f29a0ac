"""Freezing: a lowered network for inference only, with norms folded and one packed copy of each weight."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from archdsl.errors import SpecError, excerpt


class Frozen(nn.Module):
    """What a frozen network does otherwise, and no longer does."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that shares folded and packed weights: nobody changes them, and torch 2.13 cannot copy packed ones."""
        memo |= {id(tensor): tensor for part in self.modules() for tensor in getattr(part, "ready", None) or ()}
        twin = self.__new__(type(self))
        twin.__dict__ = deepcopy(self.__dict__, memo)
        return twin

    def train(self, mode: bool = True) -> Any:
        """Only `eval()`, which changes nothing."""
        return self if not mode else refuse("train")

    def state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Its weights are folded and packed: they are nobody's checkpoint."""
        refuse("save")

    def load_state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """As `state_dict`."""
        refuse("load")


def refuse(verb: str) -> NoReturn:
    """What is said to those who ask a frozen network for it."""
    raise SpecError(
        f"a frozen network does not {verb}",
        got="norms folded into weights, weights packed",
        want=f"the network that `build` gives, to {verb} before `freeze`",
    )


def freeze(network: nn.Module) -> nn.Module:
    """The network itself, for inference only: norms folded and weights packed, one copy of each, at its first clip.

    It makes no gradients, not even of its clip. Load weights and choose device and dtype before; trace or export it
    before its first clip (afterwards only `torch.export` takes it). Raises SpecError where nothing can be folded.
    """
    if isinstance(network, Frozen):
        return network
    if not isinstance(network, nn.Module):
        want = 'a network: archdsl.build(arch, lower="auto")'
        raise SpecError("not a network", got=excerpt(repr(network)), want=want)
    layers: list[Any] = [part for part in network.modules() if hasattr(type(part), "frozen")]
    if not layers:
        raise SpecError("nothing to freeze", got="a network without fused layers", want='build(arch, lower="auto")')
    network.eval().requires_grad_(False)
    for layer in layers:
        layer.frozen = True
    kind = type(network)
    methods = {name: frozen_method(getattr(kind, name)) for name in ("forward", "step") if hasattr(kind, name)}
    network.__class__ = type(f"Frozen{kind.__name__}", (Frozen, kind), methods)
    return network


def frozen_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """`forward` or `step` without gradients, which packed convolutions do not have; maps are written over.

    oneDNN's ReLU makes 0 of what is no number (torch 2.13): scores would be finite, so that the clip is looked at.
    """

    @wraps(method)
    def without_gradients(self: nn.Module, clips: Any, *rest: Any, **named: Any) -> Any:
        with torch.no_grad():
            check_clips_finite(clips)
            return method(self, clips, *rest, **named)

    return without_gradients


def check_clips_finite(clips: Any) -> None:
    """Raise SpecError for a clip on the CPU with NaN or infinity in it. A trace looks at nothing."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return
    for name, clip in clips.items() if isinstance(clips, dict) else [("clip", clips)]:
        if not isinstance(clip, Tensor) or clip.device.type != "cpu" or not clip.is_floating_point():
            continue
        if not clip.sum(dtype=torch.float64).isfinite() and not clip.isfinite().all():
            raise SpecError(f"{name} is not finite", got="NaN or infinity in it", want="finite numbers")


def frozen_if_foldable(network: nn.Module) -> nn.Module:
    """The network for inference only, where it has layers that can be folded."""
    return freeze(network) if any(hasattr(type(part), "frozen") for part in network.modules()) else network
