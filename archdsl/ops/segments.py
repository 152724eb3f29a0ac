"""Segments of a video (TSN, arXiv:1608.00859): snippets taken from each, and the consensus of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import INDEX, NOTHING, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.pool import pooled_to
from archdsl.ops.receptive_field import Seen
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class TakeSnippets(Op):
    """`length` frames in a row from the middle of `count` equal parts.  (c, t, h, w) -> (c, count length, h, w)

    The frames are not evenly spaced: the grid's step is their mean distance.
    """

    chooses = "frames"
    kept = NOTHING
    count: int
    """Equal parts of the clip."""
    length: int
    """Frames in a row from the middle of each part."""

    def frames(self, t: int) -> tuple[int, ...]:
        """The frames chosen from t."""
        middles = [(2 * i + 1) * t // (2 * self.count) for i in range(self.count)]
        return tuple(middle - self.length // 2 + i for middle in middles for i in range(self.length))

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            min(self.count, self.length) >= 1,
            "number of frames below 1",
            got=f"{self.count} x {self.length}",
            want="1 x 1",
        )
        total = self.count * self.length
        require(total <= x.t, "more frames selected than there are", got=f"{total} of {x.t}", want=f"1 to {x.t}")
        return x._replace(t=total)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, n, total = grids[0].t, xs[0].t, self.count * self.length
        step = Fraction(n, total)
        centre = Fraction(sum(self.frames(n)), total) - step * (total - 1) / 2
        return grids[0]._replace(t=Axis(t.step * step, t.start + t.step * centre, t.span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(seen[0][i] for i in self.frames(xs[0].t))

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.length} frames of {self.count} segments"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, :, {list(self.frames(xs[0].t))}]")


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

    call = "{0}.amax(dim=2, keepdim=True)"

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """In backward a mask of the frames that have the maximum, and how many they are."""
        return Keeps(reads=(0,), result=True, passing_back=xs[0].elements // 4 + 3 * y.elements)


@dataclass(frozen=True, kw_only=True)
class TopOverTime(OverTime):
    """The mean of the k largest values of each channel and position over time.  (c, t, h, w) -> (c, 1, h, w)"""

    k: int
    """How many of the largest values are averaged."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            1 <= self.k <= x.t, "`k` larger than the number of frames", got=f"k={self.k} of {x.t}", want=f"1 to {x.t}"
        )
        return super().out(x)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        picked = self.k * y.elements
        passing = picked if training else picked - y.elements
        return Keeps(own_bytes=INDEX * picked, passing=passing, passing_back=xs[0].elements + picked)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.topk({self.k}, dim=2).values.mean(dim=2, keepdim=True)")


@dataclass(frozen=True, kw_only=True)
class WeightedOverTime(OverTime):
    """A learned weight for each frame, 1 / t at the start, and the weighted sum.  (c, t, h, w) -> (c, 1, h, w)"""

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].t, 1, 1)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        weighted = xs[0].elements
        return Keeps(reads=(0,), passing=weighted, passing_back=weighted)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("frames", xs[0].t),)
        return Layer("{m}({0})", "TimeWeights", args, needs=runtime("regions.segments", "TimeWeights"))
