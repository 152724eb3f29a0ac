"""Every position against every other: what non-local blocks are made of (arXiv:1711.07971, eq. 1).

Keys become channels: a map of affinities (keys, t, h, w) holds, at each position, one number for each key.
"""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer
from archdsl.ops.receptive_field import Seen, merged, union
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Pairwise(Op):
    """Every position of one map against every position of another."""

    reads = 2

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return seeing_all(xs[1], *grids)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], (union(seen[1]),))


@dataclass(frozen=True, kw_only=True)
class Affinity(Pairwise):
    """The dot product of each query with each key.  (c, t, h, w), (c, t', h', w') -> (t' h' w', t, h, w)"""

    autocast = "half"
    scale: bool = False
    """Times 1 / sqrt(c)."""

    def out(self, *xs: Shape) -> Shape:
        queries, keys = xs
        require(
            queries.c == keys.c,
            "queries and keys with different channels",
            got=f"{queries.c} and {keys.c}",
            want="equal channels",
        )
        return queries._replace(c=keys.positions)

    def cost(self, *xs: Shape) -> Cost:
        y = self.out(*xs)
        return Cost(matmul_macs=xs[0].c * y.elements, activations=y.elements)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        scaled = y.elements * self.scale
        return Keeps(reads=(0, 1), passing=scaled, passing_back=scaled)

    def torch(self, *xs: Shape) -> Layer:
        """Keys to the front, as channels."""
        scale = f" * {xs[0].c} ** -0.5" if self.scale else ""
        return Layer(f"({{1}}.flatten(2).mT @ {{0}}.flatten(2){scale}).unflatten(2, {{0}}.shape[2:])")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, y = two_maps(draw)
        return cls(scale=draw.flag()), (x, y._replace(c=x.c))


@dataclass(frozen=True, kw_only=True)
class PairSum(Pairwise):
    """One number of each query plus one of each key.  (1, t, h, w), (1, t', h', w') -> (t' h' w', t, h, w)"""

    kept = NOTHING
    call = "({1}.flatten(2).mT + {0}.flatten(2)).unflatten(2, {0}.shape[2:])"

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, y = two_maps(draw)
        return cls(), (x._replace(c=1), y._replace(c=1))

    def out(self, *xs: Shape) -> Shape:
        queries, keys = xs
        require(
            queries.c == keys.c == 1,
            "pair sum of maps with more than one channel",
            got=f"{queries.c} and {keys.c}",
            want="1 and 1",
        )
        return queries._replace(c=keys.positions)


@dataclass(frozen=True, kw_only=True)
class Gather(Pairwise):
    """The values of all keys, weighted at each position.  (t' h' w', t, h, w), (c, t', h', w') -> (c, t, h, w)"""

    autocast = "half"
    mean: bool = False
    """Divided by the number of keys."""

    def out(self, *xs: Shape) -> Shape:
        weights, values = xs
        require(
            weights.c == values.positions,
            "number of weights differs from the number of keys",
            got=f"{weights.c} weights, {values.positions} values",
            want="equal numbers",
        )
        return weights._replace(c=values.c)

    def cost(self, *xs: Shape) -> Cost:
        weights, values = xs
        return Cost(matmul_macs=values.c * weights.elements, activations=self.out(*xs).elements)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        divided = y.elements * self.mean
        return Keeps(reads=(0, 1), passing=divided, passing_back=divided)

    def torch(self, *xs: Shape) -> Layer:
        mean = " / {0}.shape[1]" if self.mean else ""
        return Layer(f"({{1}}.flatten(2) @ {{0}}.flatten(2){mean}).unflatten(2, {{0}}.shape[2:])")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Values, and a weight for each at every position."""
        x, values = two_maps(draw)
        return cls(mean=draw.flag()), (x._replace(c=values.positions), values)


def two_maps(draw: Draw) -> tuple[Shape, Shape]:
    """Maps of any sizes."""
    return draw.shape(t=3, s=4), draw.shape(t=3, s=4)


def seeing_all(keys: Shape, at: Grid, of: Grid) -> Grid:
    """Positions of the one, each of which sees all there is of the other."""
    t, h, w = (a._replace(span=max(a.span, b.span + b.step * (n - 1))) for a, b, n in zip(at[:3], of[:3], keys[1:]))
    return Grid(t, h, w, at.tick)
