"""A convolution learnt as the sum of several (MobileOne, arXiv:2206.04040), which fold into one after training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Builder
from archdsl.spec.budget import MOST_BRANCHES
from archdsl.spec.scalars import Count, Sizes


class SummedConv(Block):
    """Branches of one kernel, one of 1x1x1, and the map itself, each normed; their sum, gate, activation.

    (c, t, h, w) -> (channels, t', h', w'). The 1x1x1 stands only beside a larger kernel, the map only where its shape
    stays. With `folded` one convolution with a bias takes the place of all: what is left of them after training.
    """

    channels: Width | None = Field(None, description="output channels; by default as many as enter")
    kernel: Sizes = Field((1, 1, 1), description="window (t, h, w)")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w)")
    groups: Count | Literal["depthwise"] = Field(1, description="channel groups, or depthwise: one per channel")
    branches_of_kernel: Count = Field(1, le=MOST_BRANCHES, description="how many branches have the kernel")
    norm: NormField = Field(Norm(), description="batch, group, layer, or a mapping with eps and momentum")
    se: SqueezeExcite | None = Field(None, description="channels gated after the sum")
    act: Act = Field("relu", description="activation, or none")
    folded: bool = Field(False, description="one convolution with a bias instead")

    def build(self, g: Builder, x: str) -> str:
        y = g.add("conv", self.conv(g, x, self.kernel, bias=True), x) if self.folded else self.summed(g, x)
        y = self.se.add(g, "se", y) if self.se else y
        return add_act(g, "act", self.act, y)

    def summed(self, g: Builder, x: str) -> str:
        """The branches, in the order in which the first code sums them."""
        kernels = {f"kernel_{i}": self.kernel for i in range(self.branches_of_kernel)}
        if max(self.kernel) > 1:
            kernels = {"point": (1, 1, 1), **kernels}
        ends = [
            self.norm.add(g, f"norm_{name}", g.add(name, self.conv(g, x, kernel), x))
            for name, kernel in kernels.items()
        ]
        if self.stride == (1, 1, 1) and self.channels in (None, g.shape(x).c):
            ends = [self.norm.add(g, "norm_same", x), *ends]
        return ends[0] if len(ends) == 1 else g.add("sum", ops.Add(), *ends)

    def conv(self, g: Builder, x: str, kernel: tuple[int, int, int], bias: bool = False) -> ops.Conv:
        """One branch's convolution."""
        c = g.shape(x).c
        return ops.Conv(
            out_channels=self.channels or c,
            kernel=kernel,
            stride=self.stride,
            groups=c if self.groups == "depthwise" else self.groups,
            bias=bias,
        )
