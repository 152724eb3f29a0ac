"""Tokens beside a map: learnt ones put there, and what is taken from a value that has them."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.errors import SpecError
from archdsl.ops.autograd import NOTHING, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.pool import pooled_to
from archdsl.ops.receptive_field import Seen
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class LearntTokens(Op):
    """Learnt tokens in front of what a value has: class, register...  (c, t, h, w, k) -> (c, t, h, w, k + n)

    They start at N(0, std^2).
    """

    passes_extra = True
    kept = Keeps(gradient="part")
    count: int = 1
    """How many tokens."""
    std: float = 0.02
    """Standard deviation that they start with."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.count >= 1, "`count` below 1", got=self.count, want="at least 1")
        return x._replace(extra=x.extra + self.count)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        what = "tokens that all frames share, of which the last would reach the first"
        raise SpecError(what, got="a causal network", want="a map alone", fix="head: classifier, without class_token")

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (self.count, xs[0].c)}

    def label(self, x: Shape, y: Shape) -> str:
        return "class token" if self.count == 1 else f"{self.count} learnt tokens"

    def row(self, x: Shape | None = None) -> str:
        return "learnt token" if self.count == 1 else f"{self.count} learnt tokens"

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("count", self.count), Argument("channels", xs[0].c), Argument("std", self.std, 0.02))
        return Layer("{m}({0})", "LearntTokens", args, needs=runtime("attention.tokens", "token_rows", "LearntTokens"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()._replace(extra=draw.integer(0, 2))
        return cls(count=draw.integer(1, 3), std=draw.choice((0.0, 0.02))), (x,)


@dataclass(frozen=True, kw_only=True)
class Queries(Op):
    """Learnt tokens without a map, as wide as what it reads.  (c, t, h, w) -> (c, count tokens)"""

    passes_extra = True
    reads_size = True
    kept = Keeps(gradient="part")
    count: int = 1
    """How many tokens."""
    std: float = 0.02
    """Standard deviation that they start with."""

    def out(self, *xs: Shape) -> Shape:
        require(self.count >= 1, "`count` below 1", got=self.count, want="at least 1")
        return Shape(xs[0].c, 0, 0, 0, self.count)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (0,)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (self.count, xs[0].c)}

    def label(self, x: Shape, y: Shape) -> str:
        return "learnt query" if self.count == 1 else f"{self.count} learnt queries"

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("count", self.count), Argument("channels", xs[0].c), Argument("std", self.std, 0.02))
        return Layer("{m}({0})", "Queries", args, needs=runtime("attention.tokens", "Queries"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(count=draw.integer(1, 3), std=draw.choice((0.0, 0.02))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class TakeMap(Op):
    """The map without the tokens beside it.  (c, t, h, w, k) -> (c, t, h, w)"""

    causality = "frame"
    passes_extra = True
    kept = Keeps(view=True, gradient="part")
    shown = "in heads"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.t >= 1, "no map to take", got=x, want="a map")
        return x._replace(extra=0)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(view=True) if xs[0].extra else RESHAPED

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        return Layer(
            f"{{0}}[..., {x.extra}:].reshape({{0}}.shape[0], {x.c}, {x.t}, {x.h}, {x.w})" if x.extra else "{0}"
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape()._replace(extra=draw.integer(0, 2)),)


@dataclass(frozen=True, kw_only=True)
class TakeTokens(Op):
    """The tokens without the map they stand beside.  (c, t, h, w, k) -> (c, k tokens)"""

    passes_extra = True
    kept = Keeps(view=True)
    shown = "in heads"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.extra >= 1, "no tokens to take", got=x, want="tokens beside the map", fix="class_token before it")
        return Shape(x.c, 0, 0, 0, x.extra)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[..., :{xs[0].extra}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape()._replace(extra=draw.integer(1, 3)),)


@dataclass(frozen=True, kw_only=True)
class TakeToken(Op):
    """One of the tokens, as what stands for the whole clip.  (c, t, h, w, k) -> (c, 1, 1, 1)"""

    passes_extra = True
    kept = Keeps(view=True)
    index: int = 0
    """Which token, from 0."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.extra >= 1, "no token to take", got=x, want="tokens beside the map", fix="class_token before it")
        require(0 <= self.index < x.extra, "`index` of no token", got=self.index, want=f"0 to {x.extra - 1}")
        return Shape(x.c, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0]) if xs[0].t else grids[0]

    def row(self, x: Shape | None = None) -> str:
        return f"token {self.index}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[..., {self.index}:{self.index + 1}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        extra = draw.integer(1, 3)
        return cls(index=draw.integer(0, extra - 1)), (draw.shape()._replace(extra=extra),)


@dataclass(frozen=True, kw_only=True)
class TokenRows(Op):
    """Tokens without a map as rows of one frame.  (c, k tokens) -> (c, 1, k, 1)"""

    passes_extra = True
    kept = RESHAPED
    call = "{0}.transpose(3, 4)"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.extra >= 1 and not x.t, "not tokens alone", got=x, want="tokens", fix="take_tokens before it")
        return Shape(x.c, 1, x.extra, 1)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (Shape(draw.integer(1, 6), 0, 0, 0, draw.integer(1, 4)),)


@dataclass(frozen=True, kw_only=True)
class TokenMean(Op):
    """The mean of all positions, tokens beside the map included.  (c, t, h, w, k) -> (c, 1, 1, 1)"""

    passes_extra = True
    kept = NOTHING

    def out(self, *xs: Shape) -> Shape:
        return Shape(xs[0].c, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0]) if xs[0].t else grids[0]

    def row(self, x: Shape | None = None) -> str:
        return "mean of all tokens"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{0}.mean(dim=(2, 3, 4), keepdim=True)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape()._replace(extra=draw.integer(0, 2)),)


@dataclass(frozen=True, kw_only=True)
class SoftmaxPool(Op):
    """The mean of all positions, weighted by the softmax of a learnt score.  (c, t, h, w, k) -> (c, 1, 1, 1)

    Scores are products with a learnt vector, summed over channels; as in other pools these count as no multiply-adds
    (arXiv:2008.01077).
    """

    passes_extra = True

    def out(self, *xs: Shape) -> Shape:
        return Shape(xs[0].c, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0]) if xs[0].t else grids[0]

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (1, xs[0].c), "bias": (1,)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The map and a weight for each position; products stand beside them before they are summed."""
        n, passing = xs[0].positions, xs[0].elements + (2 - training) * xs[0].positions
        return Keeps(reads=(0,), own=n * training, passing=passing, passing_back=2 * xs[0].elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("channels", xs[0].c),)
        return Layer("{m}({0})", "SoftmaxPool", args, needs=runtime("attention.tokens", "token_rows", "SoftmaxPool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class JoinTokens(Op):
    """A map with tokens put beside it.  (c, k tokens), (c, t, h, w) -> (c, t, h, w, k)"""

    reads = 2
    passes_extra = True
    kept = Keeps(gradient="part")
    shown = "in heads"

    def out(self, *xs: Shape) -> Shape:
        tokens, x = xs
        require(tokens.c == x.c, "tokens as wide as no map", got=f"{tokens} and {x}", want="equal channels")
        require(not tokens.t and not x.extra, "not tokens and a map", got=f"{tokens} and {x}", want="tokens, a map")
        return x._replace(extra=tokens.extra)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[1]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[1]

    def torch(self, *xs: Shape) -> Layer:
        return Layer("join_tokens({0}, {1})", needs=runtime("attention.tokens", "token_rows", "join_tokens"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (Shape(x.c, 0, 0, 0, draw.integer(1, 3)), x)
