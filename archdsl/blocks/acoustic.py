"""Blocks for spectrograms (arXiv:2001.08740): maps of time, one row, and frequency bands along the width."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.chain import add_chain
from archdsl.blocks.residual import Residual
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Sizes


class CrossConv(Block):
    """A kernel over time beside one over space, summed; norm, activation.  (c, t, h, w) -> (channels, t', h', w')"""

    channels: Width = Field(description="output channels")
    kernel: Sizes = Field(description="window (t, h, w): t x 1 x 1 beside 1 x h x w")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w) of both")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")

    def build(self, g: Builder, x: str) -> str:
        t, h, w = self.kernel
        bias = self.norm.kind == "none"

        def conv(kernel: tuple[int, int, int]) -> ops.Conv:
            return ops.Conv(out_channels=self.channels, kernel=kernel, stride=self.stride, bias=bias)

        time, space = g.add("time", conv((t, 1, 1)), x), g.add("space", conv((1, h, w)), x)
        return add_act(g, "act", self.act, self.norm.add(g, "norm", g.add("sum", ops.Add(), time, space)))


class AcousticBottleneck(Residual):
    """A bottleneck that strides in time on its first kernel, in space on its middle one.

    (c, t, h, w) -> (channels, t', h', w'). The middle kernel is 3 x 1 x 3, or `separable`: 1 x 1 x 3 and 3 x 1 x 1
    side by side, each with norm and activation, summed.
    """

    separable: bool = Field(False, description="the middle kernel as two side by side")
    kernel: Count = Field(3, description="side of the middle kernel in time and frequency")

    def build(self, g: Builder, x: str) -> str:
        inner, s, k, bias = max(self.channels // 4, 1), self.stride, self.kernel, self.biased
        conv_a = ops.Conv(out_channels=inner, kernel=(self.kernel_t, 1, 1), stride=(self.stride_t, 1, 1), bias=bias)
        y = add_act(
            g,
            "act_a",
            self.act,
            self.norm.add(g, "norm_a", g.add("conv_a", conv_a, add_chain(g, "before", self.before, x))),
        )
        y = add_chain(g, "between", self.between, y)

        def middle(name: str, t: int, w: int) -> str:
            conv = ops.Conv(
                out_channels=inner,
                kernel=(t, 1, w),
                stride=(1, s, s),
                dilation=(1, self.dilation, self.dilation),
                groups=inner if self.groups == "depthwise" else self.groups,
                bias=bias,
            )
            return add_act(g, f"act_{name}", self.act, self.norm.add(g, f"norm_{name}", g.add(f"conv_{name}", conv, y)))

        if self.separable:
            z = g.add("cross", ops.Add(), middle("b_space", 1, k), middle("b_time", k, 1))
        else:
            z = middle("b", k, k)
        z = g.add("conv_c", ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=bias), z)
        return self.joined(g, self.norm.add(g, "norm_c", z, zero_init=self.zero_init), x)
