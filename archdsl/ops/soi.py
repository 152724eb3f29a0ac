"""Segments of interest (TAL-Net, arXiv:1804.07667): proposals along time, and a fixed number of cells of each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import INDEX, NOTHING, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import SHARES, Draw, Example, integers
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.receptive_field import Seen, everything
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class SegmentProposals(Op):
    """The likeliest segments of those that stand around every position, without near doubles.

    (4 k, t, 1, 1) -> (2, top, 1, 1): start and end, in elements of the map; element i covers i to i + 1. At every
    position there is a segment of each of the k `scales`, and four channels for it: scores of nothing and of an
    action, how far the middle is off, in lengths, and the logarithm of how much longer it is. Segments end where the
    map does. The best is kept, what overlaps it by more than `overlap` (of the union) is dropped, then the best of the
    rest, and so on; where fewer than `top` are left, 0 to 0 fills up. What is written is not differentiated.
    """

    kept = NOTHING
    scales: tuple[int, ...]
    """Lengths, in elements of the map."""
    top: int = 300
    """How many segments are written."""
    overlap: float = 0.7
    """Intersection over union above which a segment is dropped for a better one."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.h == x.w == 1, "proposals of a map with height and width", got=x, want="h = w = 1")
        require(min(self.scales, default=0) >= 1, "segment length below 1", got=self.scales, want="scales from 1")
        want = f"4 for each of {len(self.scales)} scales: {4 * len(self.scales)}"
        require(x.c == 4 * len(self.scales), "wrong number of channels for the scales", got=x.c, want=want)
        require(self.top >= 1, "number of proposals below 1", got=self.top, want="at least 1")
        require(0 < self.overlap <= 1, "`overlap` out of range", got=self.overlap, want="above 0, at most 1")
        return Shape(2, self.top, 1, 1)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (False,) * len(xs)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """In order of their scores; each may lie anywhere, so it may see all there is."""
        t, n = grids[0].t, xs[0].t
        return grids[0]._replace(t=Axis(t.step * Fraction(n, self.top), t.start, t.span + t.step * (n - 1)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def torch(self, *xs: Shape) -> Layer:
        call = f"segment_proposals({{0}}, {self.scales}, {self.top}, {self.overlap})"
        return Layer(call, needs=runtime("regions.soi", "anchored", "without_doubles", "segment_proposals"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A sequence with four channels for each of several lengths."""
        scales = integers(draw, 1, 9, count=draw.integer(1, 3))
        op = cls(scales=scales, top=draw.integer(1, 6), overlap=draw.choice((0.3, 0.7)))
        return op, (Shape(4 * len(scales), draw.integer(1, 12), 1, 1),)


@dataclass(frozen=True, kw_only=True)
class SoiPool(Op):
    """The largest element in each of `bins` equal parts of every segment.

    (c, t, 1, 1), segments (2, r, 1, 1) -> (c, r, bins, 1). Segments are starts and ends in elements of the map and lie
    along time; `extend` lengths are added on both sides, as far as the map goes. A part holds every element it
    touches; a segment without length gives 0. Where segments lie is not differentiated.
    """

    reads = 2
    bins: int = 7
    """Equal parts of a segment."""
    extend: Fraction = Fraction(1, 2)
    """Added on both sides, in lengths of the segment."""

    def out(self, *xs: Shape) -> Shape:
        x, segments = xs
        require(x.h == x.w == 1, "segments of a map with height and width", got=x, want="h = w = 1")
        form = (segments.c, segments.h, segments.w)
        require(form == (2, 1, 1), "wrong shape of the segments", got=segments, want="(2, segments, 1, 1)")
        require(self.bins >= 1, "`bins` below 1", got=self.bins, want="at least 1")
        require(self.extend >= 0, "`extend` below 0", got=self.extend, want="0 or more")
        return Shape(x.c, segments.t, self.bins, 1)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Time is the segments'; their parts lie along h. A part may lie anywhere, so it may see all there is."""
        (x, _), (grid, segments) = xs, grids
        t = grid.t
        part = Axis(t.step * Fraction(x.t, self.bins), t.start, t.span + t.step * (x.t - 1))
        return Grid(segments.t, part, grid.w, segments.tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Both maps of each maximum in the table of doubled lengths, then the two gathered; places and a mask."""
        x = xs[0]
        table = x.t.bit_length() * x.elements
        places = 2 * INDEX * y.t * y.h
        own = 2 * (table - x.elements) + 2 * y.elements
        return Keeps(own=own, own_bytes=places + y.t, passing=table, passing_back=table)

    def torch(self, *xs: Shape) -> Layer:
        """How often a length doubles is told: a trace has no number for it."""
        doubled = xs[0].t.bit_length() - 1
        call = f"soi_pool({{0}}, {{1}}, {self.bins}, {float(self.extend)}, {doubled})"
        return Layer(call, needs=runtime("regions.soi", "soi_pool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A sequence and segments of it."""
        op = cls(bins=draw.integer(1, 7), extend=draw.choice(SHARES))
        return op, (draw.shape(t=20, s=1), Shape(2, draw.integer(1, 5), 1, 1))
