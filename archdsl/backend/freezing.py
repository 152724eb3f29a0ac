"""Freezing: a lowered network for inference only, with norms folded and one packed copy of each weight."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from archdsl.errors import SpecError


class Frozen:
    """What a frozen network no longer does."""

    def train(self, mode: bool = True) -> Any:
        """Only `eval()`, which changes nothing."""
        return self if not mode else refused("train")

    def state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Its weights are folded and packed: they are nobody's checkpoint."""
        refused("save")

    def load_state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """As `state_dict`."""
        refused("load")


def refused(verb: str) -> NoReturn:
    """What is said to those who ask a frozen network for it."""
    raise SpecError(
        f"a frozen network does not {verb}",
        got="norms folded into weights, weights packed",
        want=f"the network that `build` gives, to {verb} before `freeze`",
    )


def freeze(network: nn.Module) -> nn.Module:
    """The network itself, for inference only: norms folded and weights packed, one copy of each, at its first clip.

    Load weights and choose device and dtype before. Raises SpecError where nothing can be folded.
    """
    layers: list[Any] = [part for part in network.modules() if hasattr(type(part), "frozen")]
    if not layers:
        raise SpecError("nothing to freeze", got="a network without fused layers", want='build(arch, lower="auto")')
    network.eval().requires_grad_(False)
    for layer in layers:
        layer.frozen = True
    kind = type(network)
    network.__class__ = type(f"Frozen{kind.__name__}", (Frozen, kind), {})
    return network
