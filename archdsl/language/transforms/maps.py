"""Transforms that bring a source's map to the target's size and place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Norm, NormField
from archdsl.blocks.chain import Chain, add_chain
from archdsl.graph import Builder
from archdsl.language.transforms.base import Transform
from archdsl.spec.scalars import Count, Ratio, Whole


class ResizeTo(Transform):
    """Interpolation to the target's height and width.  (c, t, h, w) -> (c, t', h', w')"""

    mode: Literal["nearest", "trilinear"] = Field("nearest", description="nearest or trilinear")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("resize", ops.ResizeTo(mode=self.mode, onto=True), x, target)


class CropTo(Transform):
    """Cut to the target's height and width, of `thw` to its frames too.  (c, t, h, w) -> (c, t, h', w')"""

    offset: Whole | Literal["middle"] = Field(
        "middle", description="rows and columns left out before what is taken, or middle: as many as behind"
    )
    over: Literal["hw", "thw"] = Field("hw", description="axes: hw or thw")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("crop", ops.CropTo(over=self.over, offset=self.offset), x, target)


class Through(Transform):
    """Blocks that the source passes through, one after the other.  (c, t, h, w) -> whatever they write"""

    blocks: Chain = Field(min_length=1, description="blocks in order")

    def summary(self) -> tuple[str, ...]:
        told = [block.summary(0) for block in self.blocks]
        return tuple(line for lines in told for line in lines) if all(told) else ()

    def build(self, g: Builder, x: str, target: str) -> str:
        return add_chain(g, "through", self.blocks, x)


class Fit(Transform):
    """What brings a cell's output to another's size and width (NASNet, arXiv:1707.07012, Appendix A.4).

    ReLU, a 1x1x1 convolution and a norm; nothing where the width is right. Where the target is half as large, two
    convolutions at stride 2, one of them a pixel on, give half of the channels each.
    """

    channels: Count = Field(description="output channels")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")

    def build(self, g: Builder, x: str, target: str) -> str:
        halves = g.shape(target)[2:] != g.shape(x)[2:]
        if not halves and g.shape(x).c == self.channels:
            return x
        x = g.add("relu", ops.Relu(), x)
        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=self.norm.kind == "none")
        if not halves:
            return self.norm.add(g, "norm", g.add("conv", conv, x))
        here = replace(conv, out_channels=self.channels // 2, stride=(1, 2, 2))
        on = replace(here, out_channels=self.channels - self.channels // 2, pad=((0, 0), (-1, 1), (-1, 1)))
        y = g.add("join", ops.Concat(), g.add("conv_here", here, x), g.add("conv_on", on, x))
        return self.norm.add(g, "norm", y)


class Warp(Transform):
    """What the target has of key frames, moved to the frames between by a flow that is read off the source.

    (c', t, h, w) -> (c, t, h, w). A 3x3 convolution gives the flow, `by` times as long, in elements of the map; each
    element is read where the flow points, and multiplied by a second convolution's, 1x1, which starts as 1
    everywhere (Deep Feature Flow, arXiv:1611.07715). The flow starts near 0: what is held, hardly moved.
    """

    by: Ratio = Field(Fraction(1), description="the number the flow is multiplied by")
    scale: bool = Field(True, description="whether what is moved is multiplied, too")

    def build(self, g: Builder, x: str, target: str) -> str:
        flow = g.add("flow", ops.Conv(out_channels=2, kernel=(1, 3, 3), bias=True, init="normal"), x)
        flow = g.add("by", ops.Affine(scale=float(self.by)), flow) if self.by != 1 else flow
        y = g.add("warp", ops.Warp(), g.add("hold", ops.HoldKeys(), target, x), flow)
        if not self.scale:
            return y
        conv = ops.Conv(out_channels=g.shape(target).c, kernel=(1, 1, 1), bias=True, init="zeros", bias_start=1.0)
        return g.add("product", ops.Mul(), y, g.add("scale", conv, x))
