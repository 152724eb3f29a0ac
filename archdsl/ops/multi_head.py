"""What kinds of multi-head attention share: heads side by side in the channels, their products, what they keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, changed_keywords
from archdsl.ops.shape import Shape

Over = Literal["thw", "hw", "t", "th", "tw", "h", "w"]
"""Axes along which positions read each other; along the others each is alone."""
LONGEST_SEARCH = 10_000
"""Numbers of heads that are tried for a fix."""


def check_heads(x: Shape, heads: int) -> None:
    """Raise SpecError where channels do not fall into heads."""
    require(heads >= 1, "`heads` below 1", got=heads, want="at least 1")
    if x.c % heads:
        what, got = "channels not divisible by heads", f"{x.c}, heads={heads}"
        raise SpecError(what, got=got, want=f"a multiple of {heads}", fix=f"heads: {fitting_heads(x.c, heads)}")


def fitting_heads(channels: int, heads: int) -> int:
    """Fewer heads that divide the channels, as many as a short search finds."""
    most = min(heads - 1, channels)
    return next((n for n in range(most, max(most - LONGEST_SEARCH, 0), -1) if channels % n == 0), 1)


@dataclass(frozen=True, kw_only=True)
class MultiHead(Op):
    """softmax(scale q k^T) v in every head.  q (c, ...), k (c', ...), v (c'', ...) -> (c'' or more, q's t, h, w)

    A head has c / heads channels of q; k may have fewer heads, whose number follows from its channels: each is then
    read by several heads of q. `fused` calls torch's scaled_dot_product_attention, which writes no map of all pairs and
    which fvcore does not count.
    """

    reads = 3
    autocast = "half"
    heads: int
    """Heads of the queries; their channels are a multiple of it."""
    scale: float | None = None
    """What products of queries and keys are multiplied by; by default 1 over the root of a head's channels."""
    fused: bool = False
    """Whether torch's scaled_dot_product_attention runs it, which writes no map of all pairs."""

    def head_channels(self, q: Shape) -> int:
        """Channels of q in each head."""
        check_heads(q, self.heads)
        return q.c // self.heads

    def share(self, q: Shape, k: Shape) -> int:
        """How many heads of q read one of k."""
        width = self.head_channels(q)
        heads = k.c // width
        require(
            k.c % width == 0 and self.heads % max(heads, 1) == 0,
            "channels of keys that make no heads",
            got=f"{k.c} of keys, {width} in each of {self.heads} heads of queries",
            want=f"{width} times a number that divides {self.heads}",
        )
        return self.heads // heads

    def out(self, *xs: Shape) -> Shape:
        q, k, v = xs
        share = self.share(q, k)
        require(k[1:] == v[1:], "keys and values at different positions", got=f"{k} and {v}", want="equal sizes")
        require(
            v.c * share % self.heads == 0,
            "channels of values not divisible by heads",
            got=f"{v.c}, {self.heads // share} heads of keys",
            want=f"a multiple of {self.heads // share}",
        )
        return q._replace(c=v.c * share)

    def pairs(self, q: Shape, k: Shape) -> int:
        """How many products of a query and a key there are in one head."""
        raise NotImplementedError

    def cost(self, *xs: Shape) -> Cost:
        macs = self.pairs(*xs[:2]) * (xs[0].c + self.out(*xs).c)
        plain = super().cost(*xs)
        return plain._replace(matmul_macs=macs, fvcore_extra=-macs * self.fused)

    def keywords(self, *xs: Shape) -> str:
        """Heads and scale, and what differs from the defaults, as arguments of a function in torch."""
        scale = f"{self.head_channels(xs[0])} ** -0.5" if self.scale is None else f"{self.scale}"
        rest = changed_keywords(fused=(self.fused, False), share=(self.share(*xs[:2]), 1))
        return f"{self.heads}, {scale}{rest}"

    def arguments(self, *xs: Shape) -> tuple[Argument, ...]:
        """Scale, and what differs from the defaults, as arguments of a module."""
        scale = self.head_channels(xs[0]) ** -0.5 if self.scale is None else self.scale
        share = Argument("share", self.share(*xs[:2]), 1)
        return Argument("scale", scale), Argument("fused", self.fused, False), share

    def copies(self, q: Shape, k: Shape) -> bool:
        """Whether rows of heads are no view of a channels-last map."""
        return False

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Queries, keys and values by heads, and every weight; torch's kernel keeps a number for each query instead.

        That kernel wants values as wide as keys, and saves maps as they are, unless their rows are copies.
        """
        share, moved = self.share(*xs[:2]), self.copies(*xs[:2])
        q, k, v = xs[0].elements, share * xs[1].elements, share * xs[2].elements
        rows = q + k + v if moved else (k + v) * (share > 1)
        if self.fused and xs[0].c == y.c:
            if not training:
                return Keeps(passing=rows)
            reads = () if moved else (0, 1, 2) if share == 1 else (0,)
            own, turned = rows + y.elements * moved, y.elements * moved
            statistics = 4 * self.heads * xs[0].positions
            return Keeps(reads=reads, result=not moved, own=own, own_bytes=statistics, passing_back=turned)
        weights = self.pairs(*xs[:2]) * self.heads
        if not training:
            products = max(2 * q + k + weights, 2 * weights + rows) - y.elements
            return Keeps(passing=max(products, weights + v + y.elements))
        passing = max(y.elements, weights - y.elements + (q if moved else -v))
        return Keeps(own=q + k + v + weights, passing=passing, passing_back=max(2 * weights - q - k - v, 0))

    def label(self, x: Shape, y: Shape) -> str:
        return f"{super().label(x, y)} {self.heads} heads"


def seeing(grids: tuple[Grid, ...], *sizes: int) -> Grid:
    """Where the queries lie, each of which sees so many positions of keys and values along (t, h, w)."""
    axes = zip(*(grid[:3] for grid in grids), sizes)
    t, h, w = (
        at._replace(span=max(at.span, *(of.span + of.step * (size - 1) for of in others))) for at, *others, size in axes
    )
    return Grid(t, h, w, grids[0].tick)


def attending(kind: type[MultiHead], draw: Draw, q: Shape, k: Shape, **fields: Any) -> Example:
    """An attention of a few heads, and maps like `q` and `k` with channels for them."""
    heads = draw.choice((1, 2, 3, 4))
    keys = draw.choice([n for n in range(1, heads + 1) if heads % n == 0])
    width, of_values = draw.integer(1, 4), draw.integer(1, 4)
    op = kind(heads=heads, scale=draw.choice((None, 0.5, 1.0)), fused=draw.flag(), **fields)
    return op, (q._replace(c=heads * width), k._replace(c=keys * width), k._replace(c=keys * of_values))
