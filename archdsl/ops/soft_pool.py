"""Means of a map by learnt weights of its positions: glimpses."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.pool import pooled_to
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class SoftPool(Op):
    """Means of a map, one for each channel of scores, by their softmax over all positions (arXiv:1704.03162).

    scores (g, t, h, w), map (c, t, h, w) -> (g c, 1, 1, 1), all channels of the first mean in front.
    """

    reads = 2

    def out(self, *xs: Shape) -> Shape:
        scores, x = xs
        require(scores[1:] == x[1:], "scores of other positions", got=f"{scores} and {x}", want="equal t, h, w")
        require(not x.extra, "scores of a map with tokens beside it", got=x, want="a map alone")
        return Shape(scores.c * x.c, 1, 1, 1)

    def cost(self, *xs: Shape) -> Cost:
        y = self.out(*xs)
        return Cost(matmul_macs=y.c * xs[1].positions, activations=y.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[1], grids[1])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The map and the weights of its positions, whose gradients are made twice beside that of the map."""
        return Keeps(reads=(1,), own=xs[0].elements, passing_back=max(xs[0].elements - xs[1].elements, 0))

    def label(self, x: Shape, y: Shape) -> str:
        return f"{x.c} glimpses"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("soft_pool({0}, {1})", needs=runtime("text", "soft_pool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x._replace(c=draw.integer(1, 3)), x)
