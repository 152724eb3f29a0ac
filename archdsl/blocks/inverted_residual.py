"""The inverted residual block (arXiv:1801.04381): narrow maps between blocks, a wide depthwise convolution within."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Ratio, Sizes


class InvertedResidual(Block):
    """1x1x1 to `inner` channels, a depthwise kernel, 1x1x1 back.  (c, t, h, w) -> (channels, t, h', w')

    The first convolution is left out where `inner` is c. What enters is added where nothing changes its shape. The
    last convolution has no activation.
    """

    channels: Width = Field(description="output channels")
    expand: Ratio = Field(Fraction(6), description="inner channels as a multiple of those that enter, rounded down")
    inner: Width | None = Field(None, description="inner channels in numbers, instead of `expand`")
    kernel: Sizes = Field((1, 3, 3), description="depthwise window (t, h, w)")
    stride: Count = Field(1, description="spatial stride; only the first of repeated blocks keeps it")
    dilation: Count = Field(1, description="spatial dilation")
    se: SqueezeExcite | None = Field(None, description="squeeze and excitation after the depthwise convolution")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu6", description="activation")
    before: Chain = Field((), description="blocks in front of the first kernel; the shortcut does not pass them")

    def within(self) -> Iterator[Block]:
        yield from self.before

    def build(self, g: Builder, x: str) -> str:
        c, bias, s = g.shape(x).c, self.norm.kind == "none", self.stride
        inner, y = self.inner or max(int(c * self.expand), 1), add_chain(g, "before", self.before, x)
        if inner != c:
            y = g.add("expand", ops.Conv(out_channels=inner, kernel=(1, 1, 1), bias=bias), y)
            y = add_act(g, "expand_act", self.act, self.norm.add(g, "expand_norm", y))
        window: dict[str, Any] = dict(kernel=self.kernel, stride=(1, s, s), dilation=(1, self.dilation, self.dilation))
        middle = ops.Conv(out_channels=inner, groups=inner, bias=bias, **window)
        y = add_act(g, "act", self.act, self.norm.add(g, "norm", g.add("depthwise", middle, y)))
        y = self.se.add(g, "se", y) if self.se else y
        y = g.add("project", ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=bias), y)
        y = self.norm.add(g, "project_norm", y)
        return g.add("sum", ops.Add(), x, y) if g.shape(y) == g.shape(x) else y
