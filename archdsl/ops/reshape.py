"""Other sizes for the same content."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from archdsl.ops.base import Axis, Grid, Op, Shape, require
from archdsl.ops.pool import pooled_to

Interpolation = Literal["nearest", "trilinear"]


@dataclass(frozen=True, kw_only=True)
class Flatten(Op):
    """All elements as channels, ordered c, t, h, w.  (c, t, h, w) -> (c t h w, 1, 1, 1)"""

    def out(self, *xs: Shape) -> Shape:
        return Shape(xs[0].elements, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


@dataclass(frozen=True, kw_only=True)
class FlattenSpace(Op):
    """The elements of each frame as channels, ordered c, h, w.  (c, t, h, w) -> (c h w, t, 1, 1)"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(x.c * x.h * x.w, x.t, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


@dataclass(frozen=True, kw_only=True)
class Vector(Op):
    """One position becomes none: what leaves the network is (n, c).  (c, 1, 1, 1) -> (c,)"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.positions == 1, "more than one position left", got=x, want="t = h = w = 1")
        return x

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return (y.c,)


@dataclass(frozen=True, kw_only=True)
class Series(Op):
    """Places in space become none: what leaves the network is (n, c, t).  (c, t, 1, 1) -> (c, t)"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.h == x.w == 1, "more than one place left", got=x, want="h = w = 1")
        return x

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return (y.c, y.t)


@dataclass(frozen=True, kw_only=True)
class Resize(Op):
    """Interpolation by a scale per axis.  (c, t, h, w) -> (c, t st, h sh, w sw), rounded down"""

    scale: tuple[Fraction, Fraction, Fraction]
    mode: Interpolation = "nearest"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(min(self.scale) > 0, "a scale that is not positive", got=self.scale, want="above 0")
        t, h, w = (int(n * s) for n, s in zip(x[1:], self.scale))
        require(min(t, h, w) >= 1, "nothing left after the resize", got=(t, h, w), want="at least 1 along each axis")
        return Shape(x.c, t, h, w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return resized(self.out(*xs), xs[0], grids[0], self.mode)


@dataclass(frozen=True, kw_only=True)
class ResizeTo(Op):
    """Interpolation to the size of a second map.  (c, t, h, w), (c', t', h', w') -> (c, t', h', w')"""

    reads: ClassVar[int | None] = 2
    mode: Interpolation = "nearest"
    onto: bool = False
    """Whether the result lies where the second map does, though a pool before it may have dropped a border."""

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        return Shape(x.c, *like[1:])

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        own = resized(self.out(*xs), xs[0], grids[0], self.mode)
        if not self.onto:
            return own
        t, h, w = (there._replace(span=here.span) for here, there in zip(own[:3], grids[1][:3]))
        return Grid(t, h, w, grids[1].tick)


@dataclass(frozen=True, kw_only=True)
class CropTo(Op):
    """The first rows and columns, as many as a second map has.  (c, t, h, w), (c', t', h', w') -> (c, t, h', w')"""

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        require(like.h <= x.h and like.w <= x.w, "a crop larger than the map", got=f"{like}", want=f"at most {x}")
        return x._replace(h=like.h, w=like.w)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False


def resized(y: Shape, x: Shape, grid: Grid, mode: Interpolation) -> Grid:
    """Elements keep the outer borders: the first of m over n begins where the first of n began."""
    t, h, w = (
        a
        if m == n
        else Axis(
            a.step * n / m,
            a.start + a.step * (Fraction(n, m) - 1) / 2,
            a.span + (a.step if mode == "trilinear" else 0),
        )
        for a, n, m in zip(grid[:3], x[1:], y[1:])
    )
    return Grid(t, h, w, grid.tick)
