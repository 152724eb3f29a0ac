"""Convolutions of frames that are rows with tokens of their own in front, which go round (arXiv:2211.09552)."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField
from archdsl.blocks.local_transformer import add_conv
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Ratio, Share, Sizes, Whole


class FrameRowBlock(Block):
    """What is made of the rows behind the tokens of each frame, and these in front of it again."""

    tokens: Whole = Field(1, description="tokens in front of each frame's row")

    def rows(self, g: Builder, x: str) -> str:
        """The rows behind the tokens."""
        return g.add("rows", ops.TakeRows(start=self.tokens), x) if self.tokens else x

    def joined(self, g: Builder, x: str, y: str) -> str:
        """The tokens of x in front of y."""
        return (
            g.add("join", ops.JoinRows(), g.add("tokens", ops.TakeRows(count=self.tokens), x), y) if self.tokens else y
        )


class FrameTimeConv(FrameRowBlock):
    """Norm and a depthwise convolution over time between two linear ones, added to what it reads.

    (c, t, k + r, 1) -> (c, t, k + r, 1). The last starts at 0, so that the block begins as nothing.
    """

    kernel_t: Count = Field(3, description="frames that each sees")
    reduction: Ratio = Field(Fraction(3, 2), description="channels in those of the convolution, rounded down")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps")
    drop_path: Share | None = Field(None, description="probability that it is dropped; see a pathway's drop_path")

    def summary(self, channels: int) -> tuple[str, ...]:
        return (f"over time {self.kernel_t}, {max(int(channels / self.reduction), 1)}",)

    def build(self, g: Builder, x: str) -> str:
        c, rows = g.shape(x).c, self.rows(g, x)
        inner = max(int(c / self.reduction), 1)
        y = add_conv(g, "enter", self.norm.add(g, "norm", rows), inner)
        y = add_conv(g, "over_time", y, inner, (self.kernel_t, 1, 1), depthwise=True)
        y = g.add("leave", ops.Conv(out_channels=c, kernel=(1, 1, 1), bias=True, init="zeros"), y)
        y = g.add("drop_path", ops.DropPath(p=self.drop_path), y) if self.drop_path is not None else y
        return self.joined(g, x, g.add("sum", ops.Add(), rows, y))


class FramePositionConv(FrameRowBlock):
    """A depthwise convolution of the map that rows make, added to them: positions.  (c, t, k + h w, 1) -> the same"""

    kernel: Sizes = Field((3, 3, 3), description="window (t, h, w)")
    height: Count | None = Field(None, description="height of the map; by default its width")

    def summary(self, channels: int) -> tuple[str, ...]:
        return (f"positions by {'×'.join(map(str, self.kernel))}",)

    def build(self, g: Builder, x: str) -> str:
        rows = self.rows(g, x)
        y = g.add("map", ops.RowsToMap(height=self.height or isqrt(g.shape(rows).h)), rows)
        y = g.add("sum", ops.Add(), y, add_conv(g, "conv", y, g.shape(x).c, self.kernel, depthwise=True))
        return self.joined(g, x, g.add("flat", ops.FrameRows(), y))
