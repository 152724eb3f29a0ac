"""Freezing: a lowered network for inference only, with norms folded and one packed copy of each weight."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NoReturn

import torch
from torch import nn

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
    without = torch.no_grad()(kind.forward)  # packed convolutions have no gradients, and maps are written over
    network.__class__ = type(f"Frozen{kind.__name__}", (Frozen, kind), {"forward": without})
    return network


def frozen_if_foldable(network: nn.Module) -> nn.Module:
    """The network for inference only, where it has layers that can be folded."""
    return freeze(network) if any(hasattr(type(part), "frozen") for part in network.modules()) else network
