"""Blocks of one idea: a convolution with its norm and activation, pools, choices of input."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Pad, Width, add_act
from archdsl.graph import Builder
from archdsl.ops.conv import Init
from archdsl.spec.scalars import Count, Ratio, Real, Sizes, Whole


class Conv(Block):
    """Convolution, norm, activation.  (c, t, h, w) -> (channels, t', h', w')"""

    channels: Width = Field(description="output channels")
    kernel: Sizes = Field((1, 1, 1), description="window (t, h, w)")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w)")
    dilation: Sizes = Field((1, 1, 1), description="dilation (t, h, w)")
    pad: Pad = Field("same", description="same (floor-symmetric), valid, tf_same, or numbers per axis")
    groups: Count | Literal["depthwise"] = Field(1, description="channel groups, or depthwise: one per channel")
    bias: bool | None = Field(None, description="a bias; by default only where no norm follows")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")
    init: Init = Field(
        "msra", description="how weights are drawn: msra, msra_in, xavier, normal, identity or torch's default"
    )

    def build(self, g: Builder, x: str) -> str:
        groups = g.shape(x).c if self.groups == "depthwise" else self.groups
        bias = self.norm.kind == "none" if self.bias is None else self.bias
        conv = ops.Conv(
            out_channels=self.channels,
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            pad=self.pad,
            groups=groups,
            bias=bias,
            init=self.init,
        )
        y = self.norm.add(g, "norm", g.add("conv", conv, x))
        return add_act(g, "act", self.act, y)


class Depthwise(Block):
    """A kernel of its own for each channel, norm, activation.  (c, t, h, w) -> (c, t', h', w')"""

    kernel: Sizes = Field((1, 3, 3), description="window (t, h, w)")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w)")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")

    def build(self, g: Builder, x: str) -> str:
        fields = self.model_dump(include={"kernel", "stride"})
        return Conv(channels=g.shape(x).c, groups="depthwise", norm=self.norm, act=self.act, **fields).build(g, x)


class Deconv(Block):
    """Transposed convolution, norm, activation.  (c, t, h, w) -> (channels, (n - 1) s - 2 pad + kernel + extra, ...)"""

    channels: Width = Field(description="output channels")
    kernel: Sizes = Field(description="window (t, h, w)")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w): by how much each axis grows")
    pad: tuple[Whole, Whole, Whole] = Field((0, 0, 0), description="elements cut off both sides of each axis")
    extra: tuple[Whole, Whole, Whole] = Field((0, 0, 0), description="elements added behind each axis")
    bias: bool | None = Field(None, description="a bias; by default only where no norm follows")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")
    init: Init = Field("msra", description="how weights are drawn; bilinear: as a linear enlargement of each channel")

    def build(self, g: Builder, x: str) -> str:
        bias = self.norm.kind == "none" if self.bias is None else self.bias
        conv = ops.TransposedConv(
            out_channels=self.channels,
            kernel=self.kernel,
            stride=self.stride,
            pad=self.pad,
            extra=self.extra,
            bias=bias,
            init=self.init,
        )
        return add_act(g, "act", self.act, self.norm.add(g, "norm", g.add("conv", conv, x)))


class Pool(Block):
    """Fields of a pool."""

    kernel: tuple[Whole, Whole, Whole] = Field(description="window (t, h, w); 0 for the whole axis")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w)")
    pad: Pad = Field("same", description="same (floor-symmetric), valid, tf_same, or numbers per axis")
    ceil: bool = Field(False, description="round the output size up, as Caffe does")


class MaxPool(Pool):
    """The largest element of each window.  (c, t, h, w) -> (c, t', h', w')"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("pool", ops.MaxPool(kernel=self.kernel, stride=self.stride, pad=self.pad, ceil=self.ceil), x)


class AvgPool(Pool):
    """The mean of each window.  (c, t, h, w) -> (c, t', h', w')"""

    count_pad: bool = Field(True, description="whether padding counts in the mean")

    def build(self, g: Builder, x: str) -> str:
        pool = ops.AvgPool(
            kernel=self.kernel, stride=self.stride, pad=self.pad, ceil=self.ceil, count_pad=self.count_pad
        )
        return g.add("pool", pool, x)


class GlobalPool(Block):
    """The mean over time and space.  (c, t, h, w) -> (c, 1, 1, 1)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("pool", ops.AdaptiveAvgPool(), x)


class Mean(Block):
    """The mean over whole axes, kept as size 1.  (c, t, h, w) -> (c, t, h, 1) for over: w"""

    over: Literal["t", "h", "w", "hw", "thw"] = Field("thw", description="axes: t, h, w, hw or thw")

    def build(self, g: Builder, x: str) -> str:
        return g.add("mean", ops.Mean(over=self.over), x)


class AdaptiveAvgPool(Block):
    """Means over windows chosen so that the result has a given size.  (c, t, h, w) -> (c, *size)"""

    size: tuple[Whole, Whole, Whole] = Field(description="size (t, h, w); 0 keeps an axis")

    def build(self, g: Builder, x: str) -> str:
        return g.add("pool", ops.AdaptiveAvgPool(size=self.size), x)


class SpaceToChannels(Block):
    """The positions of each square laid side by side as channels.  (c, t, h, w) -> (side^2 c, t, h / side, w / side)"""

    side: Count = Field(2, description="rows and columns of a square")

    def build(self, g: Builder, x: str) -> str:
        return g.add("parts", ops.SpaceToChannels(side=self.side), x)


class NewestFrame(Block):
    """The last frame.  (c, t, h, w) -> (c, 1, h, w)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("frame", ops.NewestFrame(), x)


class LocalResponseNorm(Block):
    """Each element divided by a power of what its neighbouring channels hold.  (c, t, h, w) -> (c, t, h, w)"""

    size: Count = Field(5, description="channels summed over")
    alpha: Annotated[Real, Field(ge=0)] = Field(1e-4, description="weight of the sum of squares")
    beta: Annotated[Real, Field(ge=0)] = Field(0.75, description="the power")
    k: Annotated[Real, Field(gt=0)] = Field(2.0, description="added to the weighted sum")

    def build(self, g: Builder, x: str) -> str:
        return g.add("lrn", ops.LocalResponseNorm(size=self.size, alpha=self.alpha, beta=self.beta, k=self.k), x)


class Gray(Block):
    """Luma of an rgb map.  (3, t, h, w) -> (1, t, h, w)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("gray", ops.Gray(), x)


class FrameDifference(Block):
    """Each frame minus the one before it.  (c, t, h, w) -> (c, t, h, w)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("difference", ops.FrameDifference(), x)


class Resize(Block):
    """Interpolation by a scale per axis.  (c, t, h, w) -> (c, t st, h sh, w sw)"""

    scale: tuple[Ratio, Ratio, Ratio] = Field(description="scale (t, h, w), such as [1, 1/2, 1/2]")
    mode: Literal["nearest", "trilinear"] = Field("trilinear", description="nearest or trilinear")

    def build(self, g: Builder, x: str) -> str:
        t, h, w = map(Fraction, self.scale)
        return g.add("resize", ops.Resize(scale=(t, h, w), mode=self.mode), x)
