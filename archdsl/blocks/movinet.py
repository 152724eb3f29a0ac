"""MoViNet's block (arXiv:2103.11511): an inverted residual over space and time, gated, beside a shortcut that pools."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Sizes


class GatedInverted(Block):
    """1x1x1 to `inner`, a depthwise kernel, gate, 1x1x1 back, a learnt gain.  (c, t, h, w) -> (channels, t, h', w')

    The gain starts at 0 (ReZero). The shortcut pools over 1x3x3 where the block strides and is projected where the map
    changes; it has no activation. Padding is TensorFlow's, and padding does not count in the pool.
    """

    channels: Width = Field(description="output channels")
    inner: Width = Field(description="channels of the depthwise kernel")
    kernel: Sizes = Field((3, 3, 3), description="depthwise window (t, h, w)")
    stride: Count = Field(1, description="spatial stride; only the first of repeated blocks keeps it")
    factorized: bool = Field(False, description="the depthwise kernel in space, then in time")
    se: SqueezeExcite = Field(SqueezeExcite(), description="squeeze and excitation after the depthwise kernel")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("silu", description="activation")

    def build(self, g: Builder, x: str) -> str:
        shortcut = self.shortcut(g, x)
        y = self.conv(g, "expand", (1, 1, 1), x)
        for name, kernel in self.kernels():
            y = self.conv(g, name, kernel, y, groups=self.inner, stride=self.stride if max(kernel[1:]) > 1 else 1)
        y = self.se.add(g, "se", y)
        project = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=self.norm.kind == "none")
        y = self.norm.add(g, "project_norm", g.add("project", project, y))
        return g.add("sum", ops.Add(), g.add("gain", ops.Gain(), y), shortcut)

    def kernels(self) -> tuple[tuple[str, ops.Triple], ...]:
        """The depthwise kernels by name."""
        t, h, w = self.kernel
        if not self.factorized:
            return (("depthwise", self.kernel),)
        space: tuple[str, ops.Triple] = ("space", (1, h, w))
        return (space, ("time", (t, 1, 1))) if t > 1 else (space,)

    def conv(self, g: Builder, name: str, kernel: ops.Triple, x: str, groups: int = 1, stride: int = 1) -> str:
        """A convolution to `inner` channels with norm and activation."""
        conv = ops.Conv(
            out_channels=self.inner,
            kernel=kernel,
            stride=(1, stride, stride),
            pad="tf_same",
            groups=groups,
            bias=self.norm.kind == "none",
        )
        y = self.norm.add(g, f"{name}_norm", g.add(name, conv, x))
        return add_act(g, f"{name}_act", self.act, y)

    def shortcut(self, g: Builder, x: str) -> str:
        """What enters, in the shape of what leaves."""
        if self.stride == 1 and g.shape(x).c == self.channels:
            return x
        if self.stride > 1:
            pool = ops.AvgPool(kernel=(1, 3, 3), stride=(1, self.stride, self.stride), pad="tf_same", count_pad=False)
            x = g.add("pool", pool, x)
        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=self.norm.kind == "none")
        return self.norm.add(g, "shortcut_norm", g.add("shortcut", conv, x))
