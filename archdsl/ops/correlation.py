"""Local correlation: each element of one map against those around its place in another, as between two frames."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.merge import common_shape
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class LocalCorrelation(Op):
    """The mean over channels of products with elements up to `reach` rows and columns away, every `step` (FlowNetC,
    arXiv:1504.06852, eq. 1, patches of one element).  (c, t, h, w), (c, t, h, w) -> ((2 reach / step + 1)^2, t, h, w)

    Channels are displacements of the second map, row by row from the upper left; beyond its border there are zeros. The
    products count as multiply-adds, which fvcore does not see.
    """

    reads = 2
    merges = True
    causality = "frame"
    reach: int = 4
    """Largest displacement, in rows and in columns of the map."""
    step: int = 1
    """Rows or columns between two displacements."""

    def out(self, *xs: Shape) -> Shape:
        require(self.reach >= 0, "`reach` below 0", got=self.reach, want="0 or more")
        require(self.step >= 1, "`step` below 1", got=self.step, want="at least 1")
        got = f"reach {self.reach}, step {self.step}"
        require(self.reach % self.step == 0, "`reach` is not a multiple of `step`", got=got, want="a multiple")
        return common_shape("correlation", xs)._replace(c=(2 * self.reach // self.step + 1) ** 2)

    def cost(self, *xs: Shape) -> Cost:
        y = self.out(*xs)
        macs = xs[0].c * y.elements
        return Cost(matmul_macs=macs, fvcore_extra=-macs, activations=y.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        first, other = grids
        h, w = (self.wider(*axes) for axes in ((first.h, other.h), (first.w, other.w)))
        return Grid(first.t._replace(span=max(first.t.span, other.t.span)), h, w, first.tick)

    def wider(self, first: Axis, other: Axis) -> Axis:
        """An axis along which the second map is seen so far to both sides."""
        return first._replace(span=max(first.span, other.span + 2 * self.reach * other.step))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The first map, and the second with its border; results lie twice while they are put together."""
        (x, _), border = xs, 2 * self.reach
        padded = x.c * x.t * (x.h + border) * (x.w + border)
        return Keeps(reads=(0,), own=padded, passing=max(x.elements, y.elements), passing_back=2 * x.elements + padded)

    def label(self, x: Shape, y: Shape) -> str:
        side = 2 * self.reach // self.step + 1
        return f"correlation {side}×{side}"

    def torch(self, *xs: Shape) -> Layer:
        call = f"local_correlation({{0}}, {{1}}, {self.reach}, {self.step})"
        return Layer(call, needs=runtime("flows.correlation", "local_correlation"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        step = draw.integer(1, 2)
        return cls(reach=step * draw.integer(0, 2), step=step), (draw.shape(),) * 2
