"""Detection in two steps: boxes proposed from a map (arXiv:1506.01497), and maps read by place within a box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from archdsl.ops.base import Axis, Grid, Op, Shape, require

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Proposals(Op):
    """The boxes of each frame most likely to hold something, after suppression, best first.

    chances (a, t, h, w), shifts (4a, t, h, w), clip (c, t, H, W) -> (5, t, count, 1): score, x1, y1, x2, y2 in pixels

    Around each element of the map stand a anchors; shifts (x, y, width, height), times `deviations`, move and stretch
    them. Boxes are cut to the clip; those narrower than `least` and those of elements beyond the last whole step of
    the clip are left out. The best `candidates` go into suppression: of boxes that overlap by more than `overlap` the
    best stays. Places that are left fill up with zeros. Pixels are counted from the first to the last one of a box,
    as the first implementations had it: its width is x2 - x1 + 1. Nothing of it is learnt through.
    """

    reads: ClassVar[int | None] = 3
    step: int
    """Pixels of the clip between neighbours of the map."""
    scales: tuple[float, ...] = (8, 16, 32)
    """Sides of anchors, in steps."""
    ratios: tuple[float, ...] = (0.5, 1, 2)
    """Heights of anchors over their widths."""
    deviations: Box = (1, 1, 1, 1)
    candidates: int = 6000
    count: int = 300
    overlap: float = 0.7
    least: float = 0

    def out(self, *xs: Shape) -> Shape:
        chances, shifts, clip = xs
        a = len(self.scales) * len(self.ratios)
        require(a >= 1 and self.step >= 1, "no anchors", got=f"{a} at step {self.step}", want="at least one")
        want = f"{a} and {4 * a} channels on one map, a clip of as many frames"
        fits = (chances.c, shifts.c) == (a, 4 * a) and chances[1:] == shifts[1:] and clip.t == chances.t
        require(fits, "chances and shifts that fit no anchors", got=f"{chances} and {shifts}, {clip}", want=want)
        require(min(self.candidates, self.count) >= 1, "no proposals", got=f"{self.count}", want="at least 1")
        return Shape(5, chances.t, self.count, 1)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (False,) * len(xs)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Time is the map's. A box may lie anywhere, so in space it may see all there is."""
        return anywhere(xs[0], grids[0], self.count, 1)

    @property
    def anchors(self) -> tuple[Box, ...]:
        """x1, y1, x2, y2 around the first element: ratios, then scales; widths rounded before they are scaled."""
        found = []
        middle = (self.step - 1) / 2
        for ratio in self.ratios:
            width = round((self.step**2 / ratio) ** 0.5)
            height = round(width * ratio)
            for scale in self.scales:
                x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
                found.append((middle - x, middle - y, middle + x, middle + y))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class PlacePool(Op):
    """Position-sensitive pooling (arXiv:1605.06409, eq. 1): each cell of a box is the mean over it of its own map.

    (c size^2, t, h, w), boxes (4, t, r, 1) -> (c, t, r, size^2). The channels of one class lie side by side, row by
    row of cells. Corners are rounded to whole pixels, the last one within; a cell takes every element it touches, and
    one that touches none is 0.
    """

    reads: ClassVar[int | None] = 2
    size: int
    step: int
    """Pixels of the clip between neighbours of the map."""

    def out(self, *xs: Shape) -> Shape:
        x, boxes = xs
        require(min(self.size, self.step) >= 1, "boxes without cells", got=f"size {self.size}", want="at least 1")
        cells = self.size**2
        require(x.c % cells == 0, "channels that do not fall to cells", got=f"{x.c} for {cells}", want="no rest")
        fits = (boxes.c, boxes.t, boxes.w) == (4, x.t, 1)
        require(fits, "boxes of another form", got=boxes, want=f"(4, {x.t}, boxes, 1)")
        return Shape(x.c // cells, x.t, boxes.h, cells)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """A box may lie anywhere, so in space it may see all there is."""
        return anywhere(xs[0], grids[0], xs[1].h, self.size**2)


def anywhere(x: Shape, grid: Grid, height: int, width: int) -> Grid:
    """A map of another form each of whose elements may see the whole frame."""
    h, w = (
        Axis(a.step * Fraction(n, m), a.start, a.span + a.step * (n - 1))
        for a, n, m in zip((grid.h, grid.w), x[2:], (height, width))
    )
    return Grid(grid.t, h, w, grid.tick)
