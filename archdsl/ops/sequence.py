"""Sequences one behind the other: what a recurrence reads of pictures and then of words."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer
from archdsl.ops.receptive_field import Seen
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class JoinFrames(Op):
    """The frames of a second map before those of the first.  (c, t, h, w), (c, t', h, w) -> (c, t' + t, h, w)

    They lie where the first map's would, so many steps earlier.
    """

    reads = 2
    kept = Keeps(gradient="part")

    def out(self, *xs: Shape) -> Shape:
        x, front = xs
        fits = (x.c, x.h, x.w) == (front.c, front.h, front.w)
        require(fits, "frames that differ in more than their number", got=f"{x} and {front}", want="equal c, h, w")
        return x._replace(t=x.t + front.t)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        span = max(t.span + t.step * xs[1].t, grids[1].t.span)
        return grids[0]._replace(t=t._replace(start=t.start - t.step * xs[1].t, span=span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (*seen[1], *seen[0])

    def torch(self, *xs: Shape) -> Layer:
        return Layer("torch.cat([{1}, {0}], dim=2)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x, x._replace(t=draw.integer(1, 4)))


@dataclass(frozen=True, kw_only=True)
class PadFrames(Op):
    """Frames of zeros in front and behind.  (c, t, h, w) -> (c, front + t + back, h, w)"""

    kept = NOTHING
    front: int = 0
    """Frames of zeros in front."""
    back: int = 0
    """Frames of zeros behind."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        got = f"front={self.front}, back={self.back}"
        require(min(self.front, self.back) >= 0, "a negative number of frames", got=got, want="0 or more")
        return x._replace(t=x.t + self.front + self.back)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Frames of zeros lie nowhere: the first of them stands for the start of the sequence."""
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (*(0,) * self.front, *seen[0], *(0,) * self.back)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.pad({{0}}, (0, 0, 0, 0, {self.front}, {self.back}))")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(front=draw.integer(0, 2), back=draw.integer(0, 2)), (draw.shape(),)
