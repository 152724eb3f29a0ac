"""Residual blocks (arXiv:1512.03385) with a place for every stride and every temporal kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Sizes


class Residual(Block):
    """Fields and shortcut of a residual block: act(branch(x) + x), x projected where its shape changes."""

    channels: Width = Field(description="output channels")
    kernel_t: Count = Field(1, description="temporal kernel")
    stride: Count = Field(1, description="spatial stride; only the first of repeated blocks keeps it")
    stride_t: Count = Field(1, description="temporal stride; only the first of repeated blocks keeps it")
    dilation: Count = Field(1, description="spatial dilation of the 3x3 kernels")
    groups: Count | Literal["depthwise"] = Field(
        1, description="channel groups of the 3x3 kernels, or depthwise: one per channel"
    )
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation")
    zero_init: bool = Field(
        True, description="start the last norm's scale at 0, so that the block begins as its shortcut"
    )
    se: SqueezeExcite | None = Field(None, description="squeeze and excitation at the end of the branch")
    bias: bool | None = Field(None, description="biases of the kernels; by default only where no norm follows")
    shortcut: Chain = Field(
        (), description="blocks in place of the shortcut's 1x1x1 projection; like it, only where the shape changes"
    )
    before: Chain = Field((), description="blocks in front of the branch; the shortcut does not pass them")
    between: Chain = Field((), description="blocks between the first kernel, its norm and activation, and the next")

    @property
    def biased(self) -> bool:
        """Whether kernels have a bias."""
        return self.norm.kind == "none" if self.bias is None else self.bias

    def within(self) -> Iterator[Block]:
        yield from (*self.shortcut, *self.before, *self.between)

    def joined(self, g: Builder, branch: str, x: str) -> str:
        """The branch added to x or to its projection (a strided 1x1x1 convolution with norm), then the activation."""
        branch = self.se.add(g, "se", branch) if self.se else branch
        stride = (self.stride_t, self.stride, self.stride)
        if g.shape(x).c != self.channels or stride != (1, 1, 1):
            x = add_chain(g, "shortcut", self.shortcut, x) if self.shortcut else self.projected(g, x, stride)
        return add_act(g, "act", self.act, g.add("sum", ops.Add(), branch, x))

    def projected(self, g: Builder, x: str, stride: ops.Triple) -> str:
        """What enters the block in the shape of what leaves it."""
        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), stride=stride, bias=self.biased)
        return self.norm.add(g, "shortcut_norm", g.add("shortcut", conv, x))

    def grouped(self, channels: int) -> int:
        """The groups of a kernel that reads so many channels."""
        return channels if self.groups == "depthwise" else self.groups


class Bottleneck(Residual):
    """kernel_t x 1 x 1 to `inner` channels, `kernel` among them, 1x1x1 to `channels`.

    (c, t, h, w) -> (channels, t', h', w')

    The spatial stride sits on the middle kernel (ResNet v1.5) or, with `stride_on: a`, on the first (v1).
    """

    inner: Width | None = Field(None, description="channels of the middle kernel; a quarter of `channels` by default")
    kernel: Sizes = Field((1, 3, 3), description="middle window (t, h, w)")
    stride_on: Literal["a", "b"] = Field(
        "b", description="which kernel strides in space: a, the first, or b, the middle one"
    )
    pad: Literal["same", "tf_same"] = Field(
        "same", description="of the first and middle kernel: same (floor-symmetric) or tf_same (TensorFlow)"
    )
    mix: bool = Field(False, description="a full 1x1x1 with norm before a grouped middle kernel (ip-CSN)")
    beside: Chain = Field((), description="blocks beside the middle kernel and what is between, added to what it gives")

    def within(self) -> Iterator[Block]:
        yield from (*self.shortcut, *self.before, *self.between, *self.beside)

    def build(self, g: Builder, x: str) -> str:
        inner = self.inner or max(self.channels // 4, 1)
        bias = self.biased
        s, d = self.stride, self.dilation
        first, middle = (
            ((self.stride_t, s, s), (1, 1, 1)) if self.stride_on == "a" else ((1, 1, 1), (self.stride_t, s, s))
        )
        y = add_chain(g, "before", self.before, x)
        conv_a = ops.Conv(out_channels=inner, kernel=(self.kernel_t, 1, 1), stride=first, pad=self.pad, bias=bias)
        y = g.add("conv_a", conv_a, y)
        y = add_act(g, "act_a", self.act, self.norm.add(g, "norm_a", y))
        if self.mix:
            y = self.norm.add(g, "mix_norm", g.add("mix", ops.Conv(out_channels=inner, kernel=(1, 1, 1), bias=bias), y))
        conv_b = ops.Conv(
            out_channels=inner,
            kernel=self.kernel,
            stride=middle,
            pad=self.pad,
            dilation=(1, d, d),
            groups=self.grouped(inner),
            bias=bias,
        )
        z = self.middle(g, conv_b, add_chain(g, "between", self.between, y))
        y = g.add("beside_sum", ops.Add(), z, add_chain(g, "beside", self.beside, y)) if self.beside else z
        y = g.add("conv_c", ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=bias), y)
        return self.joined(g, self.norm.add(g, "norm_c", y, zero_init=self.zero_init), x)

    def middle(self, g: Builder, conv_b: ops.Conv, y: str) -> str:
        """From the first kernel to the last: the middle kernel, its norm and activation."""
        return add_act(g, "act_b", self.act, self.norm.add(g, "norm_b", g.add("conv_b", conv_b, y)))


class Basic(Residual):
    """Two kernel_t x 3 x 3 convolutions.  (c, t, h, w) -> (channels, t', h', w')"""

    def build(self, g: Builder, x: str) -> str:
        bias = self.biased
        kernel, d = (self.kernel_t, 3, 3), (1, self.dilation, self.dilation)
        stride = (self.stride_t, self.stride, self.stride)
        conv_a = ops.Conv(
            out_channels=self.channels,
            kernel=kernel,
            stride=stride,
            dilation=d,
            groups=self.grouped(g.shape(x).c),
            bias=bias,
        )
        y = add_act(
            g,
            "act_a",
            self.act,
            self.norm.add(g, "norm_a", g.add("conv_a", conv_a, add_chain(g, "before", self.before, x))),
        )
        y = add_chain(g, "between", self.between, y)
        conv_b = ops.Conv(
            out_channels=self.channels, kernel=kernel, dilation=d, groups=self.grouped(self.channels), bias=bias
        )
        y = g.add("conv_b", conv_b, y)
        return self.joined(g, self.norm.add(g, "norm_b", y, zero_init=self.zero_init), x)
