"""X3D's block (arXiv:2004.04730): a bottleneck that is wider within, depthwise, gated by squeeze and excitation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, add_act
from archdsl.blocks.residual import Bottleneck
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Sizes


class ExpandedBottleneck(Bottleneck):
    """1x1x1 to `inner`, a depthwise kernel, gate, swish, 1x1x1 to `channels`.  (c, t, h, w) -> (channels, t', h', w')

    PyTorchVideo leaves a shortcut that only strides without a norm (`bare_stride`); PySlowFast does not.
    """

    kernel: Sizes = Field((3, 3, 3), description="middle window (t, h, w)")
    groups: Count | Literal["depthwise"] = Field("depthwise", description="channel groups of the middle kernel")
    middle_se: SqueezeExcite | None = Field(
        None, description="squeeze and excitation between the middle norm and its activation"
    )
    middle_act: Act = Field("silu", description="activation after the middle kernel")
    bare_stride: bool = Field(False, description="no norm on a shortcut that strides and keeps its channels")

    def middle(self, g: Builder, conv_b: ops.Conv, y: str) -> str:
        y = self.norm.add(g, "norm_b", g.add("conv_b", conv_b, y))
        y = self.middle_se.add(g, "middle_se", y) if self.middle_se else y
        return add_act(g, "act_b", self.middle_act, y)

    def projected(self, g: Builder, x: str, stride: ops.Triple) -> str:
        if self.bare_stride and g.shape(x).c == self.channels:
            return g.add("shortcut", ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), stride=stride), x)
        return super().projected(g, x, stride)
