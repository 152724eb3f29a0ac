"""Rows of frames taken, joined and dealt out: among the frames of a group, among the columns of a map."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.frames import grid_of_groups, seen_by_groups
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer
from archdsl.ops.receptive_field import Seen, repeated
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class TakeRows(Op):
    """Some rows of each frame, from `start` on.  (c, t, r, w) -> (c, t, count, w); without `count` all that follow"""

    causality = "frame"
    kept = Keeps(view=True)
    shown = "in heads"
    start: int = 0
    """The first row taken, from 0."""
    count: int | None = None
    """How many rows are taken; null for all that follow."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        count = x.h - self.start if self.count is None else self.count
        inside = self.start >= 0 and 1 <= count <= x.h - self.start
        require(inside, "rows beyond the map", got=f"{count} from {self.start}", want=f"some of {x.h}")
        return x._replace(h=count)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        h = grids[0].h
        return grids[0]._replace(h=h._replace(start=h.start + self.start * h.step))

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, :, :, {self.start or ''}:{self.start + self.out(*xs).h}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        start = draw.integer(0, x.h - 1)
        return cls(start=start, count=draw.choice((None, draw.integer(1, x.h - start)))), (x,)


@dataclass(frozen=True, kw_only=True)
class JoinRows(Op):
    """Rows of the first map above those of the second.  (c, t, a, w), (c, t, b, w) -> (c, t, a + b, w)"""

    reads = 2
    causality = "frame"
    kept = Keeps(gradient="part")
    shown = "in heads"
    call = "torch.cat([{0}, {1}], dim=3)"

    def out(self, *xs: Shape) -> Shape:
        a, b = xs
        alike = a._replace(h=1) == b._replace(h=1)
        require(alike, "rows of maps that differ in c, t or w", got=f"{a} and {b}", want="equal but for h")
        return a._replace(h=a.h + b.h)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, h, w = (y._replace(span=max(x.span, y.span)) for x, y in zip(grids[0][:3], grids[1][:3]))
        return Grid(t, h._replace(start=h.start - xs[0].h * h.step), w, grids[1].tick)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x, x._replace(h=draw.integer(1, 4)))


@dataclass(frozen=True, kw_only=True)
class FramesToRows(Op):
    """The rows of `factor` neighbouring frames as those of one.  (c, factor t, h, w) -> (c, t, factor h, w)

    So what looks within a frame sees them all. The place is the first frame's.
    """

    factor: int
    """Neighbouring frames that become one."""

    def out(self, *xs: Shape) -> Shape:
        (x,), k = xs, self.factor
        require(k >= 1, "frames per group below 1", got=k, want="at least 1")
        require(
            x.t % k == 0,
            "frames not divisible into groups",
            got=f"{x.t} frame{'s' * (x.t > 1)} in groups of {k}",
            want=f"a multiple of {k}",
        )
        return Shape(x.c, x.t // k, k * x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grid_of_groups(grids[0], self.factor)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen_by_groups(seen[0], self.factor, y.t)

    kept = RESHAPED

    def label(self, x: Shape, y: Shape) -> str:
        return f"rows of {self.factor} frames"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(2, (-1, {self.factor})).flatten(3, 4)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        factor, x = draw.integer(1, 4), draw.shape()
        return cls(factor=factor), (x._replace(t=x.t * factor),)


@dataclass(frozen=True, kw_only=True)
class RowsToFrames(Op):
    """The rows of each frame parted into those of `factor` frames.  (c, t, factor h, w) -> (c, factor t, h, w)"""

    factor: int
    """Frames that one becomes."""

    def out(self, *xs: Shape) -> Shape:
        (x,), k = xs, self.factor
        require(k >= 1, "frames per group below 1", got=k, want="at least 1")
        require(x.h % k == 0, "rows not divisible among frames", got=f"{x.h} rows", want=f"a multiple of {k}")
        return Shape(x.c, x.t * k, x.h // k, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(step=t.step / self.factor))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return repeated(seen[0], self.factor)

    kept = RESHAPED

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.factor} frames of rows"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(3, ({self.factor}, -1)).flatten(2, 3)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        factor, x = draw.integer(1, 4), draw.shape()
        return cls(factor=factor), (x._replace(h=x.h * factor),)


@dataclass(frozen=True, kw_only=True)
class RowsToMap(Op):
    """A row of each frame as a map of some height.  (c, t, height w, 1) -> (c, t, height, w)"""

    causality = "frame"
    kept = RESHAPED
    height: int
    """Height of the map."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_rows(x)
        fits = self.height >= 1 and x.h % self.height == 0
        require(fits, "rows that fill no map", got=f"{x.h} tokens, height {self.height}", want="a multiple of height")
        return x._replace(h=self.height, w=x.h // self.height)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[..., 0].unflatten(3, ({self.height}, {xs[0].h // self.height}))")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(height=x.h), (x._replace(h=x.h * draw.integer(1, 3), w=1),)


def check_rows(x: Shape) -> None:
    """Raise SpecError for a map that is no rows of tokens."""
    require(x.w == 1, "not rows of tokens", got=x, want="w = 1", fix="frame_rows before it")
