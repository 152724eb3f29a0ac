"""Segments of a video (TSN, arXiv:1608.00859): snippets taken from each, and the consensus of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.base import Axis, Cost, Grid, Op, Shape, require
from archdsl.ops.pool import pooled_to


@dataclass(frozen=True, kw_only=True)
class TakeSnippets(Op):
    """`length` frames in a row from the middle of `count` equal parts.  (c, t, h, w) -> (c, count length, h, w)

    The frames are not evenly spaced: the grid's step is their mean distance.
    """

    count: int
    length: int

    def frames(self, t: int) -> tuple[int, ...]:
        """The frames chosen from t."""
        middles = [(2 * i + 1) * t // (2 * self.count) for i in range(self.count)]
        return tuple(middle - self.length // 2 + i for middle in middles for i in range(self.length))

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            min(self.count, self.length) >= 1, "no frames chosen", got=f"{self.count} x {self.length}", want="1 x 1"
        )
        total = self.count * self.length
        require(total <= x.t, "more frames chosen than there are", got=f"{total} of {x.t}", want=f"1 to {x.t}")
        return x._replace(t=total)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, n, total = grids[0].t, xs[0].t, self.count * self.length
        step = Fraction(n, total)
        centre = Fraction(sum(self.frames(n)), total) - step * (total - 1) / 2
        return grids[0]._replace(t=Axis(t.step * step, t.start + t.step * centre, t.span))


@dataclass(frozen=True, kw_only=True)
class OverTime(Op):
    """One frame made of all.  (c, t, h, w) -> (c, 1, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        return xs[0]._replace(t=1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


@dataclass(frozen=True, kw_only=True)
class MaxOverTime(OverTime):
    """The largest value of each channel and position over time.  (c, t, h, w) -> (c, 1, h, w)"""


@dataclass(frozen=True, kw_only=True)
class TopOverTime(OverTime):
    """The mean of the k largest values of each channel and position over time.  (c, t, h, w) -> (c, 1, h, w)"""

    k: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            1 <= self.k <= x.t, "the mean of more values than there are", got=f"k={self.k} of {x.t}", want=f"1 to {x.t}"
        )
        return super().out(x)


@dataclass(frozen=True, kw_only=True)
class WeightedOverTime(OverTime):
    """A learned weight for each frame, 1 / t at the start, and the weighted sum.  (c, t, h, w) -> (c, 1, h, w)"""

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        return Cost(params=x.t, activations=self.out(x).elements)
