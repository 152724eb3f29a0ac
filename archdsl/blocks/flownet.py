"""FlowNet-S (arXiv:1504.06852, figures 2 and 3): a net that narrows, then widens again and says flow at every level."""

from __future__ import annotations

from fractions import Fraction
from typing import Self

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Rounding, widened
from archdsl.graph import Builder

FLOWNET_LEVELS = ((64, 7), (128, 5), (256, 5), (512, 3), (512, 3), (1024, 3))
"""Channels and kernel of each level on the way down; from the third on a second, 3x3 convolution follows."""
SLOPE = ops.LeakyRelu(slope=0.1)


class FlowNetS(Block):
    """A pair of frames -> what flow is read off, at a quarter of its size.  (c, t, h, w) -> (194, t, h / 4, w / 4)

    Six levels at stride 2. On the way up each level joins its own map, the one below widened, and the flow read off
    the one below. A map one row or column too large is cut behind.
    """

    base: int = Field(64, strict=True, ge=2, description="channels of the first level; the other levels follow it")
    bias: bool = Field(True, description="whether what widens and what says flow has biases, as the first code has")

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Self:
        return self.but(base=max(widened(self.base, ratio, rounding), 2))

    def build(self, g: Builder, x: str) -> str:
        down = []
        for level, (channels, kernel) in enumerate(FLOWNET_LEVELS, 1):
            x = self.down(g, f"conv{level}", x, channels, kernel, 2)
            x = self.down(g, f"conv{level}_1", x, channels, 3, 1) if level > 2 else x
            down.append(x)
        for level in range(5, 1, -1):
            channels = FLOWNET_LEVELS[level - 2][0] if level < 5 else 512
            x = self.up(g, level, x, down[level - 1], self.width(channels))
        return x

    def width(self, channels: int) -> int:
        """Channels at this base, of so many at 64."""
        return channels * self.base // 64

    def down(self, g: Builder, name: str, x: str, channels: int, kernel: int, stride: int) -> str:
        """A convolution on the way down."""
        conv = ops.Conv(
            out_channels=self.width(channels),
            kernel=(1, kernel, kernel),
            stride=(1, stride, stride),
            bias=True,
            init="msra_in",
        )
        return g.add(f"{name}_act", SLOPE, g.add(name, conv, x))

    def up(self, g: Builder, level: int, x: str, beside: str, channels: int) -> str:
        """What leaves a level on the way up."""
        flow = ops.Conv(out_channels=2, kernel=(1, 3, 3), bias=self.bias, init="msra_in")
        below = g.add(f"flow{level + 1}", flow, x)
        wider = self.doubled(g, f"deconv{level}", x, beside, channels)
        wider = g.add(f"deconv{level}_act", SLOPE, wider)
        return g.add(f"join{level}", ops.Concat(), beside, wider, self.doubled(g, f"up{level}", below, beside, 2))

    def doubled(self, g: Builder, name: str, x: str, beside: str, channels: int) -> str:
        """A map at twice its size, cut to that of another."""
        kernel, stride, pad = (1, 4, 4), (1, 2, 2), (0, 1, 1)
        conv = ops.TransposedConv(
            out_channels=channels, kernel=kernel, stride=stride, pad=pad, bias=self.bias, init="msra_in"
        )
        y = g.add(name, conv, x)
        return y if g.shape(y)[2:] == g.shape(beside)[2:] else g.add(f"{name}_cut", ops.CropTo(), y, beside)
