"""Densely connected layers (arXiv:1608.06993): each one reads all maps before it. Norm and activation come first."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.graph import Builder
from archdsl.spec.scalars import Count


class NormAct(Block):
    """A norm and an activation before, or without, a convolution.  (c, t, h, w) -> (c, t, h, w)"""

    norm: NormField = Field(Norm(), description="batch, group, layer, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")

    def build(self, g: Builder, x: str) -> str:
        return add_act(g, "act", self.act, self.norm.add(g, "norm", x))


class DenseLayer(Block):
    """New channels beside all that enter: 1x1x1, kernel_t x 3 x 3.  (c, t, h, w) -> (c + growth, t, h, w)"""

    growth: Width = Field(description="channels a layer adds (the paper's k)")
    bottleneck: Count = Field(4, description="channels between the two convolutions, as a multiple of growth")
    kernel_t: Count = Field(1, description="temporal kernel")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation")

    def build(self, g: Builder, x: str) -> str:
        bias = self.norm.kind == "none"
        inner = ops.Conv(out_channels=self.bottleneck * self.growth, kernel=(1, 1, 1), bias=bias, init="msra_in")
        y = g.add("conv_a", inner, add_act(g, "act_a", self.act, self.norm.add(g, "norm_a", x)))
        new = ops.Conv(out_channels=self.growth, kernel=(self.kernel_t, 3, 3), bias=bias, init="msra_in")
        y = g.add("conv_b", new, add_act(g, "act_b", self.act, self.norm.add(g, "norm_b", y)))
        return g.add("beside", ops.Concat(), x, y)
