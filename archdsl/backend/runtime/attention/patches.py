"""Squares of positions as channels. The source of each is put into the emitted file."""

from __future__ import annotations

from torch import Tensor


def space_to_channels(x: Tensor, side: int) -> Tensor:
    """The positions of each square one after the other, down its columns; a channels-last map stays so."""
    x = x.movedim(1, -1).unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return x.permute(0, 1, 2, 4, 5, 3, 6).flatten(4).movedim(-1, 1)
