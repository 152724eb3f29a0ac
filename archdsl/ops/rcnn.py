"""Detection in two steps: boxes proposed from a map (arXiv:1506.01497), and maps read by place within a box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import INDEX, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.shape import Shape

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

    causality = "frame"
    reads_size = True
    reads = 3
    step: int
    """Pixels of the clip between neighbours of the map."""
    scales: tuple[float, ...] = (8, 16, 32)
    """Sides of anchors, in steps."""
    ratios: tuple[float, ...] = (0.5, 1, 2)
    """Heights of anchors over their widths."""
    deviations: Box = (1, 1, 1, 1)
    """Factors of the shifts (x, y, width, height)."""
    candidates: int = 6000
    """Boxes of a frame that go into suppression."""
    count: int = 300
    """Boxes of a frame that are written; zeros fill up."""
    overlap: float = 0.7
    """Intersection over union above which of two boxes the better stays."""
    least: float = 0
    """Narrowest and lowest box, in pixels."""

    def out(self, *xs: Shape) -> Shape:
        chances, shifts, clip = xs
        a = len(self.scales) * len(self.ratios)
        require(a >= 1 and self.step >= 1, "fewer than one anchor", got=f"{a} at step {self.step}", want="at least one")
        want = f"{a} and {4 * a} channels on one map, a clip of as many frames"
        fits = (chances.c, shifts.c) == (a, 4 * a) and chances[1:] == shifts[1:] and clip.t == chances.t
        require(fits, "scores and shifts do not match the anchors", got=f"{chances} and {shifts}, {clip}", want=want)
        require(
            min(self.candidates, self.count) >= 1, "number of proposals below 1", got=f"{self.count}", want="at least 1"
        )
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

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=10 * xs[0].elements)

    def torch(self, *xs: Shape) -> Layer:
        """Anchors are written out: they follow from the fields."""
        fields = f"{self.step}, {self.candidates}, {self.count}, {float(self.overlap)}, {float(self.least)}"
        anchors, deviations = list(self.anchors), tuple(map(float, self.deviations))
        call = f"propose({{0}}, {{1}}, {{2}}, {anchors}, {deviations}, {fields})"
        return Layer(call, needs=runtime("regions.rcnn", "overlaps", "suppressed", "moved", "propose"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Chances and shifts of anchors on a map, and a clip."""
        op = cls(
            step=draw.integer(1, 16),
            scales=draw.choice(((8.0,), (1.0, 2.0))),
            ratios=draw.choice(((1.0,), (0.5, 1.0, 2.0))),
            deviations=draw.choice(((1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.4, 0.4))),
            candidates=draw.integer(1, 60),
            count=draw.integer(1, 9),
            overlap=draw.choice((0.3, 0.7)),
            least=draw.choice((0.0, 4.0)),
        )
        x, a = draw.shape(t=2, s=5), len(op.anchors)
        clip = Shape(3, x.t, x.h * op.step, x.w * op.step)
        return op, (x._replace(c=a), x._replace(c=4 * a), clip)


@dataclass(frozen=True, kw_only=True)
class PlacePool(Op):
    """Position-sensitive pooling (arXiv:1605.06409, eq. 1): each cell of a box is the mean over it of its own map.

    (c size^2, t, h, w), boxes (4, t, r, 1) -> (c, t, r, size^2). The channels of one class lie side by side, row by
    row of cells. Corners are rounded to whole pixels, the last one within; a cell takes every element it touches, and
    one that touches none is 0.
    """

    causality = "frame"
    reads = 2
    size: int
    """Cells along each side of a box."""
    step: int
    """Pixels of the clip between neighbours of the map."""

    def out(self, *xs: Shape) -> Shape:
        x, boxes = xs
        require(min(self.size, self.step) >= 1, "`size` below 1", got=f"size {self.size}", want="at least 1")
        cells = self.size**2
        require(
            x.c % cells == 0, "channels not divisible by cells", got=f"{x.c} for {cells}", want=f"a multiple of {cells}"
        )
        fits = (boxes.c, boxes.t, boxes.w) == (4, x.t, 1)
        require(fits, "wrong shape of the boxes", got=boxes, want=f"(4, {x.t}, boxes, 1)")
        return Shape(x.c // cells, x.t, boxes.h, cells)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """A box may lie anywhere, so in space it may see all there is."""
        return anywhere(xs[0], grids[0], xs[1].h, self.size**2)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Running sums in double precision; each corner of a cell is an index."""
        x, n = xs[0].elements, y.elements
        return Keeps(own_bytes=4 * INDEX * n, passing=4 * x + 8 * n, passing_back=4 * x)

    def torch(self, *xs: Shape) -> Layer:
        """Cells of each box, each from its own map."""
        return Layer(f"place_pool({{0}}, {{1}}, {self.size}, {self.step})", needs=runtime("regions.rcnn", "place_pool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A map for each cell of each class, and boxes."""
        op, x = cls(size=draw.integer(1, 3), step=draw.integer(1, 16)), draw.shape(c=3, t=2)
        return op, (x._replace(c=x.c * op.size**2), Shape(4, x.t, draw.integer(1, 5), 1))


def anywhere(x: Shape, grid: Grid, height: int, width: int) -> Grid:
    """A map of another form each of whose elements may see the whole frame."""
    h, w = (
        Axis(a.step * Fraction(n, m), a.start, a.span + a.step * (n - 1))
        for a, n, m in zip((grid.h, grid.w), x[2:], (height, width))
    )
    return Grid(grid.t, h, w, grid.tick)
