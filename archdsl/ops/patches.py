"""Squares of positions as channels: the merge of patches."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.shape import Shape
from archdsl.ops.window import seen_through


@dataclass(frozen=True, kw_only=True)
class SpaceToChannels(Op):
    """The positions of each square in turn, down its columns.  (c, t, h, w) -> (side^2 c, t, h / side, w / side)

    Zeros behind rows and columns that no square has whole.
    """

    causality = "frame"
    side: int = 2
    """Rows and columns of a square."""

    def out(self, *xs: Shape) -> Shape:
        (x,), side = xs, self.side
        require(side >= 1, "`side` below 1", got=side, want="at least 1")
        return Shape(x.c * side**2, x.t, -(-x.h // side), -(-x.w // side))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        h, w = (seen_through(axis, self.side, self.side, 1, 0) for axis in grids[0][1:3])
        return grids[0]._replace(h=h, w=w)

    def padded(self, x: Shape) -> Shape:
        """The map with the zeros behind it."""
        y = self.out(x)
        return x._replace(h=y.h * self.side, w=y.w * self.side)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        if self.side == 1:
            return RESHAPED
        pads = self.padded(xs[0]) != xs[0]
        return Keeps(passing=y.elements * pads, passing_back=y.elements * pads)

    def torch(self, *xs: Shape) -> Layer:
        (x,), full = xs, self.padded(xs[0])
        source = "{0}" if full == x else f"F.pad({{0}}, {(0, full.w - x.w, 0, full.h - x.h)})"
        return Layer(
            f"space_to_channels({source}, {self.side})", needs=runtime("attention.patches", "space_to_channels")
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(side=draw.integer(1, 3)), (draw.shape(),)
