"""Ways of two-stream fusion (arXiv:1604.06573) beside sum and concat."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.merge import Merge, cannot_merge, common_shape
from archdsl.ops.pool import pooled_to
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Maximum(Merge):
    """The larger of each pair of elements.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    call = "torch.maximum({0}, {1})"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        return common_shape("maximum", xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0, 1), passing_back=y.elements + y.elements // 2)  # and two masks


@dataclass(frozen=True, kw_only=True)
class Bilinear(Merge):
    """Products of all pairs of channels, summed over each frame.  (c, t, h, w), (d, t, h, w) -> (c d, t, 1, 1)"""

    autocast = "half"
    call = "({0}.movedim(2, 1).flatten(3) @ {1}.movedim(2, 1).flatten(3).mT).flatten(2).mT[..., None, None]"
    passes_extra = False
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, y = xs
        if x[1:] != y[1:]:
            raise cannot_merge("bilinear product", x, y, axes="thw")
        return Shape(x.c * y.c, x.t, 1, 1)

    def cost(self, *xs: Shape) -> Cost:
        x, y = xs
        return Cost(matmul_macs=x.elements * y.c, activations=self.out(x, y).elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], super().place(xs, grids))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Frames as matrices, copies where there are several of several channels."""
        copied = tuple(i for i, x in enumerate(xs) if min(x[:2]) > 1)
        reads = tuple(i for i in range(len(xs)) if i not in copied)
        return Keeps(reads=reads, own=sum(xs[i].elements for i in copied), passing=y.elements)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x, x._replace(c=draw.integer(1, 4)))
