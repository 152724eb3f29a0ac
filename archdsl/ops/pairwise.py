"""Every position against every other: what non-local blocks are made of (arXiv:1711.07971, eq. 1).

Keys become channels: a map of affinities (keys, t, h, w) holds, at each position, one number for each key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archdsl.ops.base import Cost, Grid, Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class Affinity(Op):
    """The dot product of each query with each key.  (c, t, h, w), (c, t', h', w') -> (t' h' w', t, h, w)"""

    reads: ClassVar[int | None] = 2
    scale: bool = False
    """Times 1 / sqrt(c)."""

    def out(self, *xs: Shape) -> Shape:
        queries, keys = xs
        require(
            queries.c == keys.c,
            "queries and keys of unequal width",
            got=f"{queries.c} and {keys.c}",
            want="equal channels",
        )
        return queries._replace(c=keys.positions)

    def cost(self, *xs: Shape) -> Cost:
        y = self.out(*xs)
        return Cost(matmul_macs=xs[0].c * y.elements, activations=y.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return seeing_all(xs[1], *grids)


@dataclass(frozen=True, kw_only=True)
class PairSum(Op):
    """One number of each query plus one of each key.  (1, t, h, w), (1, t', h', w') -> (t' h' w', t, h, w)"""

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        queries, keys = xs
        require(
            queries.c == keys.c == 1,
            "a sum over pairs of maps that are not one channel wide",
            got=f"{queries.c} and {keys.c}",
            want="1 and 1",
        )
        return queries._replace(c=keys.positions)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return seeing_all(xs[1], *grids)


@dataclass(frozen=True, kw_only=True)
class Gather(Op):
    """The values of all keys, weighted at each position.  (t' h' w', t, h, w), (c, t', h', w') -> (c, t, h, w)"""

    reads: ClassVar[int | None] = 2
    mean: bool = False
    """Divided by the number of keys."""

    def out(self, *xs: Shape) -> Shape:
        weights, values = xs
        require(
            weights.c == values.positions,
            "weights for another number of keys",
            got=f"{weights.c} weights, {values.positions} values",
            want="equal numbers",
        )
        return weights._replace(c=values.c)

    def cost(self, *xs: Shape) -> Cost:
        weights, values = xs
        return Cost(matmul_macs=values.c * weights.elements, activations=self.out(*xs).elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return seeing_all(xs[1], *grids)


def seeing_all(keys: Shape, at: Grid, of: Grid) -> Grid:
    """Positions of the one, each of which sees all there is of the other."""
    t, h, w = (a._replace(span=max(a.span, b.span + b.step * (n - 1))) for a, b, n in zip(at[:3], of[:3], keys[1:]))
    return Grid(t, h, w, at.tick)
