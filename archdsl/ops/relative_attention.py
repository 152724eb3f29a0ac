"""Attention with relative positions along time, height and width apart (MViTv2, arXiv:2112.01526)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, require
from archdsl.ops.example import Draw, Example, random_triple
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.multi_head import MultiHead, attending, seeing
from archdsl.ops.receptive_field import Seen, merged, union
from archdsl.ops.shape import Shape
from archdsl.ops.window import AXES, Triple


def printed(macs: int) -> int:
    """Multiply-adds of an einsum as fvcore 0.1.5 has them: half the flops that numpy prints, with four digits."""
    return floor(float(f"{2 * macs:.3e}") / 2)


@dataclass(frozen=True, kw_only=True)
class RelativeAttention(MultiHead):
    """softmax(scale q k^T + q (R_t + R_h + R_w)) v.  (c, t, h, w), (c', t', h', w'), (c'', t', h', w') -> (.., t, h, w)

    R of an axis is a table with a row for each distance along it, as many as the longer of queries and keys has; the
    shorter lies stretched over it. `sizes` (t, h, w) are those that the tables are made for, where these are not the
    map's: rows are then interpolated. Tokens beside a map have no place: they are in the sequence, without R.
    """

    passes_extra = True
    sizes: Triple | None = None
    """Size (t, h, w) that the tables are made for; null for that of the map."""

    def out(self, *xs: Shape) -> Shape:
        y = super().out(*xs)
        maps = min(x.t for x in xs[:2])
        require(maps >= 1, "relative positions without a map", got=f"{xs[0]} and {xs[1]}", want="maps")
        require(min(self.sizes or (1,)) >= 1, "a size below 1", got=self.sizes, want="whole numbers from 1")
        return y

    def pairs(self, q: Shape, k: Shape) -> int:
        return q.positions * k.positions

    def longest(self, q: Shape, k: Shape) -> Triple:
        """The longer of queries and keys along (t, h, w)."""
        t, h, w = (max(getattr(q, axis), getattr(k, axis)) for axis in AXES)
        return t, h, w

    def weights(self, *xs: Shape) -> Weights:
        width = self.head_channels(xs[0])
        sizes = self.sizes or self.longest(*xs[:2])
        return {f"table_{axis}": (2 * n - 1, width) for axis, n in zip(AXES, sizes)}

    def cost(self, *xs: Shape) -> Cost:
        """Every query with the rows of its distances, beside the products; fvcore rounds those of h and w."""
        q, k, _ = xs
        plain, queries = super().cost(*xs), q.c * (q.positions - q.extra)
        rounded = sum(printed(queries * n) - queries * n for n in (k.h, k.w))
        return plain._replace(
            matmul_macs=plain.matmul_macs + queries * (k.t + k.h + k.w),
            fvcore_extra=plain.fvcore_extra + rounded,
        )

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """What is added to the products is as large as they are; each table's products keep a copy of the queries."""
        plain, added = super().keeps(xs, y, training), self.pairs(*xs[:2]) * self.heads
        if self.fused:
            own = (added + 3 * xs[0].elements) * training
            return replace(plain, own=plain.own + own, passing=plain.passing + added * (2 - training))
        own = 3 * xs[0].elements * training
        return replace(plain, own=plain.own + own, passing=plain.passing + added)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return seeing(grids, *xs[1][1:4])

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], (union(seen[1]) | union(seen[2]),))

    def torch(self, *xs: Shape) -> Layer:
        q, k, _ = xs
        width, sizes = self.head_channels(q), self.sizes or self.longest(q, k)
        args = [Argument("heads", self.heads), Argument("channels", width), Argument("sizes", sizes)]
        args += [Argument("queries", q[1:4]), Argument("keys", k[1:4]), Argument("beside", (q.extra, k.extra))]
        needs = runtime("attention.products", "head_rows", "weighed", "attend") + runtime(
            "attention.relative", "RelativeAttention"
        )
        return Layer("{m}({0}, {1}, {2})", "RelativeAttention", (*args, *self.arguments(*xs)), needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        q, k = draw.shape(t=3, s=4), draw.shape(t=3, s=4)
        q, k = (x._replace(extra=draw.integer(0, 2)) for x in (q, k))
        return attending(cls, draw, q, k, sizes=draw.choice((None, random_triple(draw))))
