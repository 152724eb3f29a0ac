"""Peers for the tests of bench: plain torch, in its own order of frames."""

import torch
from torch import nn

import archdsl


def make_same() -> nn.Module:
    """Our own network under another name."""
    return archdsl.build(archdsl.load("slowfast_tiny"))


def make_other() -> nn.Module:
    """A network whose weights are not ours."""
    return nn.Linear(3, 4)


def make_nothing() -> str:
    """No network."""
    return "nothing"


def make_trouble() -> nn.Module:
    """A function that fails."""
    raise RuntimeError("no weights today")


class Picky(nn.Module):
    """A network with our weights that wants two clips."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_same()

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        return self.inner(slow + fast)


def make_picky() -> nn.Module:
    """A network that does not take our clips."""
    return Picky()
