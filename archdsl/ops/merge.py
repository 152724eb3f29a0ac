"""Several maps into one. They must agree in size and in grid; the builder checks the grid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from archdsl.errors import SpecError
from archdsl.ops.base import Grid, Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class Merge(Op):
    """Several maps on one grid. The result lies where the first one does and sees as far as the one that sees most."""

    reads: ClassVar[int | None] = None
    merges: ClassVar[bool] = True

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        first = grids[0]
        if all(grid is first for grid in grids):
            return first
        scales = [grid.tick / first.tick if grid.tick and first.tick else 1 for grid in grids]
        t = first.t._replace(span=max(grid.t.span * scale for grid, scale in zip(grids, scales)))
        h, w = (getattr(first, axis)._replace(span=max(getattr(grid, axis).span for grid in grids)) for axis in "hw")
        return Grid(t, h, w, first.tick)


@dataclass(frozen=True, kw_only=True)
class Concat(Merge):
    """Channels side by side.  (c1, t, h, w), (c2, t, h, w) -> (c1 + c2, t, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        first = xs[0]
        for x in xs[1:]:
            if x[1:] != first[1:]:
                raise apart("concat", first, x, axes="thw")
        return Shape(sum(x.c for x in xs), *first[1:])


@dataclass(frozen=True, kw_only=True)
class Add(Merge):
    """The sum of maps of one shape.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        return of_one_shape("sum", xs)


@dataclass(frozen=True, kw_only=True)
class Average(Merge):
    """The mean of maps of one shape.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        return of_one_shape("average", xs)


@dataclass(frozen=True, kw_only=True)
class Mix(Merge):
    """`share` of the second map and the rest of the first.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    reads: ClassVar[int | None] = 2
    share: Fraction = Fraction(1, 2)

    def out(self, *xs: Shape) -> Shape:
        require(0 < self.share < 1, "a mix of one map", got=self.share, want="a share between 0 and 1")
        return of_one_shape("mix", xs)


@dataclass(frozen=True, kw_only=True)
class MeanJoin(Merge):
    """The mean of maps of one shape. In training each is left out with probability `drop`, never all (drop-path).

    (c, t, h, w), (c, t, h, w) -> (c, t, h, w)
    """

    drop: float = 0.15

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.drop < 1, "a drop-path that leaves nothing", got=self.drop, want="0 <= drop < 1")
        return of_one_shape("mean", xs)


@dataclass(frozen=True, kw_only=True)
class Mul(Merge):
    """The product, an axis of size 1 stretched to the other.  (c, t, h, w), (c, 1, 1, 1) -> (c, t, h, w)"""

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        return stretched("product", *xs)


@dataclass(frozen=True, kw_only=True)
class StretchedAdd(Merge):
    """The sum, an axis of size 1 stretched to the other.  (c, t, h, w), (c, t, 1, 1) -> (c, t, h, w)"""

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        return stretched("sum", *xs)


def of_one_shape(verb: str, xs: tuple[Shape, ...]) -> Shape:
    """The shape that all maps have."""
    for x in xs[1:]:
        if x != xs[0]:
            raise apart(verb, xs[0], x, axes="cthw")
    return xs[0]


def stretched(verb: str, x: Shape, y: Shape) -> Shape:
    """The larger size along each axis, where the smaller is 1."""
    axes = "".join(axis for axis, a, b in zip("cthw", x, y) if a != b and 1 not in (a, b))
    if axes:
        raise apart(verb, x, y, axes=axes)
    return Shape(*map(max, x, y))


def apart(verb: str, x: Shape, y: Shape, *, axes: str) -> SpecError:
    """The error for two maps that cannot be merged, naming the axes in which they differ."""
    named = [(axis, a, b) for axis, a, b in zip("cthw", x, y) if a != b and axis in axes]
    sizes = [", ".join(f"{axis}={pair[i]}" for axis, *pair in named) for i in (0, 1)]
    return SpecError(
        f"{verb} of maps that differ in {', '.join(axis for axis, *_ in named)}",
        got=f"{sizes[0]} and {sizes[1]}",
        want=f"equal {', '.join(axis for axis, *_ in named)}",
    )
