"""Cells of boxes, one frame a box: what a detector's second step reads.  (c, t, h, w), n boxes -> (c, t n, s, s)"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import INDEX, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, placeholders, runtime
from archdsl.ops.rcnn import anywhere
from archdsl.ops.receptive_field import Seen, merged, repeated
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class RegionCells(Op):
    """Cells of the boxes of each frame.  boxes (4, t, n, 1), maps (c, t, h, w)... -> (c, t n, size, size)"""

    reads = 2
    size: int
    """Cells along each side of a box."""

    def out(self, *xs: Shape) -> Shape:
        boxes, x, *rest = xs
        require(self.size >= 1, "`size` below 1", got=self.size, want="at least 1")
        fits = (boxes.c, boxes.t, boxes.w) == (4, x.t, 1)
        require(fits, "wrong shape of the boxes", got=boxes, want=f"(4, {x.t}, boxes, 1)")
        alike = all((other.c, other.t) == (x.c, x.t) for other in rest)
        require(alike, "maps that differ in channels or frames", got=", ".join(map(str, xs[1:])), want="equal c and t")
        return Shape(x.c, x.t * boxes.h, self.size, self.size)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (False, *(True for _ in xs[1:]))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Boxes stand in the place of frames, and may lie anywhere."""
        n, t = xs[0].h, grids[1].t
        space = anywhere(xs[1], grids[1], self.size, self.size)
        return space._replace(t=Axis(t.step / n, t.start - t.step * Fraction(n - 1, 2 * n), t.span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return repeated(merged(*seen), xs[0].h)


@dataclass(frozen=True, kw_only=True)
class RegionAlign(RegionCells):
    """RoIAlign (arXiv:1703.06870) on one of several maps, by the box's size (arXiv:1612.03144, eq. 1).

    Boxes (4, t, n, 1), maps (c, t, h, w)... -> (c, t n, size, size). Each cell is the mean of samples x samples linear
    ones. `steps` are pixels between neighbours of each map; a box of 224 pixels reads the one of step 16, or that
    nearest to it. Interpolation counts no multiply-adds.
    """

    may_read = 8
    steps: tuple[int, ...]
    """Pixels between neighbours of each map."""
    samples: int = 2
    """Samples along each side of a cell."""

    def out(self, *xs: Shape) -> Shape:
        require(len(self.steps) == len(xs) - 1, "steps of other maps", got=self.steps, want=f"{len(xs) - 1}")
        doubled = all(b == 2 * a for a, b in zip(self.steps, self.steps[1:]))
        require(doubled and min(self.steps) >= 1, "maps that do not halve", got=self.steps, want="each twice the last")
        return super().out(*xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Rows of all maps, and for each cell the rows that it sums with their weights."""
        maps, cells = sum(x.elements for x in xs[1:]), y.positions * 4 * self.samples**2
        return Keeps(own=maps + cells, own_bytes=INDEX * cells, passing=2 * cells, passing_back=maps)

    def label(self, x: Shape, y: Shape) -> str:
        return f"RoIAlign {self.size}²"

    def torch(self, *xs: Shape) -> Layer:
        call = f"region_align({placeholders(1)}, [{{1}}{''.join(f', {{{i}}}' for i in range(2, len(xs)))}], "
        call += f"{self.size}, {self.samples}, {self.steps}, {tuple((x.h, x.w) for x in xs[1:])})"
        return Layer(call, needs=runtime("regions.cells", "sample_corners", "region_align"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, levels = draw.shape(t=2, s=5), range(draw.integer(1, 3))
        step = draw.choice((1, 2, 8))
        op = cls(size=draw.integer(1, 3), steps=tuple(step * 2**i for i in levels), samples=draw.integer(1, 2))
        maps = [draw.shape(s=5)._replace(c=x.c, t=x.t) for _ in levels]
        return op, (Shape(4, x.t, draw.integer(1, 4), 1), *maps)


@dataclass(frozen=True, kw_only=True)
class RegionMaxPool(RegionCells):
    """RoI pooling (arXiv:1504.08083): the largest of each cell.  (4, t, n, 1), (c, t, h, w) -> (c, t n, size, size)

    Corners are rounded to whole elements, halves away from 0, the last one within; a box is at least one element, cells
    reach over each other, and one that touches no element is 0.
    """

    step: int
    """Pixels between neighbours of the map."""

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Maxima over runs of 1, 2, 4... rows and columns, and for each cell the four that cover it."""
        x = xs[1]
        tables = x.elements * x.h.bit_length() * x.w.bit_length()
        return Keeps(own=tables + 4 * y.elements, own_bytes=4 * INDEX * y.elements, passing=tables, passing_back=tables)

    def label(self, x: Shape, y: Shape) -> str:
        return f"RoI max pool {self.size}²"

    def torch(self, *xs: Shape) -> Layer:
        doublings = xs[1].h.bit_length() - 1, xs[1].w.bit_length() - 1
        call = f"region_max_pool({{0}}, {{1}}, {self.size}, {self.step}, {doublings})"
        return Layer(call, needs=runtime("regions.cells", "largest_of_runs", "region_max_pool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape(t=2, s=5)
        return cls(size=draw.integer(1, 3), step=draw.choice((1, 2, 8))), (Shape(4, x.t, draw.integer(1, 4), 1), x)


@dataclass(frozen=True, kw_only=True)
class RegionRows(Op):
    """What is said of each box, as rows of its frame.  (c, t n, 1, 1) -> (c, t, n, 1)"""

    kept = RESHAPED
    count: int
    """Boxes of each frame."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        fits = self.count >= 1 and x.t % self.count == 0 and x.h == x.w == 1
        require(fits, "not one element for each box", got=f"{x}, {self.count} boxes", want="(c, t boxes, 1, 1)")
        return Shape(x.c, x.t // self.count, self.count, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid, n = grids[0], self.count
        t = Axis(grid.t.step * n, grid.t.start + grid.t.step * Fraction(n - 1, 2), grid.t.span)
        return anywhere(xs[0], grid, n, 1)._replace(t=t)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(merged(*((one,) for one in seen[0][i * self.count : (i + 1) * self.count]))[0] for i in range(y.t))

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(2, (-1, {self.count})).flatten(4, 5)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        count = draw.integer(1, 3)
        return cls(count=count), (Shape(draw.integer(1, 4), count * draw.integer(1, 3), 1, 1),)
