"""Regions of interest: a fixed number of cells from each of several boxes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import INDEX, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.receptive_field import Seen, everything
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class RoiAlign(Op):
    """RoIAlign (arXiv:1703.06870): the mean of bilinear samples in size x size cells of each box.

    (c, 1, h, w), boxes (4, r, 1, 1) -> (c, r, size, size). Boxes are (x1, y1, x2, y2) in pixels of the clip and lie
    along time. A cell has ceil(height / size) x ceil(width / size) samples. Interpolation counts no multiply-adds.
    """

    reads = 2
    size: int
    """Cells along each side of a box."""
    step: Fraction
    """Pixels of the clip between neighbours of the map."""
    aligned: bool = True
    """Shift boxes by half an element, so that element 0 covers 0 to 1; the first implementations did not."""

    def out(self, *xs: Shape) -> Shape:
        x, boxes = xs
        require(x.t == 1, "regions of a map with several frames", got=f"t={x.t}", want="t=1: pool over time first")
        require(
            (boxes.c, boxes.h, boxes.w) == (4, 1, 1), "wrong shape of the boxes", got=boxes, want="(4, boxes, 1, 1)"
        )
        require(
            self.size >= 1 and self.step > 0,
            "`size` or `step` not above 0",
            got=f"size {self.size}, step {self.step}",
            want="both above 0",
        )
        return Shape(x.c, boxes.t, self.size, self.size)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Time is the boxes'. A cell may lie anywhere, so in space it may see all there is."""
        (x, _), (grid, boxes) = xs, grids
        h, w = (
            Axis(a.step * n / self.size, a.start, a.span + a.step * (n - 1)) for a, n in zip((grid.h, grid.w), x[2:])
        )
        return Grid(boxes.t, h, w, boxes.tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Two gathers along rows, then two along columns; indices are kept for each sample."""
        x, boxes = xs
        rows = boxes.t * self.size * (x.h // self.size + 1)
        columns = boxes.t * self.size * (x.w // self.size + 1)
        inner = max(rows * x.w, columns * self.size) * x.c
        return Keeps(own_bytes=2 * INDEX * (rows + columns), passing=4 * inner, passing_back=3 * inner)

    def torch(self, *xs: Shape) -> Layer:
        call = f"roi_align({{0}}, {{1}}, {self.size}, {float(self.step)}, {self.aligned})"
        return Layer(call, needs=runtime("regions.roi", "sampled", "roi_align"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A map without time, and boxes."""
        step = draw.choice((Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(2)))
        op = cls(size=draw.integer(1, 7), step=step, aligned=draw.flag())
        return op, (draw.shape(t=1), Shape(4, draw.integer(1, 5), 1, 1))
