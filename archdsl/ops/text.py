"""Texts as ids of tokens: a vector for each, the token that ends a text, and how well a text fits a clip."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import INDEX, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.pool import pooled_to
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Embedding(Op):
    """A learnt vector for each id of a vocabulary.  ids (1, t, h, w) -> (channels, t, h, w)

    They start at N(0, 0.02^2).
    """

    takes_ids = 0
    causality = "frame"
    widths = ("channels",)
    vocabulary: int
    """How many ids there are."""
    channels: int
    """Channels of each vector."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.vocabulary >= 1, "`vocabulary` below 1", got=self.vocabulary, want="at least 1")
        require(self.channels >= 1, "`channels` below 1", got=self.channels, want="at least 1")
        require(x.c == 1, "several ids at each place", got=x, want="one channel")
        return x._replace(c=self.channels)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (self.vocabulary, self.channels)}

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (False,)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own_bytes=INDEX * y.positions)

    def label(self, x: Shape, y: Shape) -> str:
        return f"embed {self.channels}"

    def row(self, x: Shape | None = None) -> str:
        return f"embed, {self.channels}"

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("num_embeddings", self.vocabulary), Argument("embedding_dim", self.channels))
        init = ("nn.init.normal_({m}.weight, std=0.02)",)
        return Layer("{m}({0}[:, 0]).movedim(4, 1)", "nn.Embedding", args, init)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(vocabulary=draw.integer(1, 9), channels=draw.integer(1, 6)), (draw.shape()._replace(c=1),)


@dataclass(frozen=True, kw_only=True)
class EndToken(Op):
    """Of each text the place where its ids are largest, which is that of the token that ends it (arXiv:2103.00020).

    (c, t, h, w), ids (1, t, h, w) -> (c, 1, h, w)
    """

    reads = 2
    takes_ids = 1

    def out(self, *xs: Shape) -> Shape:
        x, ids = xs
        require(x[1:] == ids[1:], "ids that are not those of the map", got=f"{ids} and {x}", want="equal t, h, w")
        return x._replace(t=1)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own_bytes=INDEX * y.positions)

    def torch(self, *xs: Shape) -> Layer:
        return Layer("at_end({0}, {1})", needs=runtime("text", "at_end"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x, x._replace(c=1))


@dataclass(frozen=True, kw_only=True)
class L2Norm(Op):
    """The channels of each position as a vector of length 1.  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    call = "F.normalize({0}, dim=1)"

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The map, its lengths before and after a bound, and what is divided by."""
        return Keeps(reads=(0,), own=2 * y.positions, passing_back=3 * y.elements)


@dataclass(frozen=True, kw_only=True)
class ScaledProducts(Op):
    """exp(s) times the product of a clip's vector with that of each text, s learnt.

    (c, 1, 1, 1), (c, 1, h, w) -> (h w, 1, 1, 1). s starts at ln(1 / 0.07) (arXiv:2103.00020, section 2.5).
    """

    reads = 2
    autocast = "half"

    def out(self, *xs: Shape) -> Shape:
        x, texts = xs
        require(x.positions == 1, "a clip of several vectors", got=x, want="t = h = w = 1", fix="mean before it")
        require(texts.t == 1, "texts of several vectors", got=texts, want="t = 1", fix="end_token before it")
        require(x.c == texts.c, "a clip and texts of unequal channels", got=f"{x} and {texts}", want="equal channels")
        return Shape(texts.h * texts.w, 1, 1, 1)

    def cost(self, *xs: Shape) -> Cost:
        return Cost(params=1, matmul_macs=xs[1].elements, activations=self.out(*xs).c)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (1,)}

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0, 1), own=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{m}({0}, {1})", "ScaledProducts", needs=runtime("text", "ScaledProducts"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        texts = draw.shape()._replace(t=1)
        return cls(), (Shape(texts.c, 1, 1, 1), texts)
