"""Tubes of several sizes as tokens (arXiv:2212.03229), and a pool by learnt scores."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.graph import Builder
from archdsl.spec.base import Written
from archdsl.spec.scalars import Sizes, Whole


class Tube(Written):
    """One size of window."""

    kernel: Sizes = Field(description="window (t, h, w)")
    stride: Sizes = Field(description="stride (t, h, w)")
    offset: tuple[Whole, Whole, Whole] = Field((0, 0, 0), description="where the first window starts (t, h, w)")


class Tubes(Block):
    """Windows of several sizes, each at its stride, as tokens in turn.  (c, t, h, w) -> (channels, tokens)"""

    channels: Width = Field(description="output channels")
    tubes: tuple[Tube, ...] = Field(min_length=1, description="sizes, in the order of their tokens")
    tied: bool = Field(True, description="whether the first one's kernel is resized for the others; else one each")
    positions: bool = Field(True, description="whether fixed sines of the tokens' middles are added")

    def build(self, g: Builder, x: str) -> str:
        kernels, steps, offsets = zip(*((tube.kernel, tube.stride, tube.offset) for tube in self.tubes))
        sizes = dict(kernels=kernels, steps=steps, offsets=offsets)
        op = ops.Tubes(out_channels=self.channels, tied=self.tied, positions=self.positions, **sizes)
        return g.add("tubes", op, x)


class SoftmaxPool(Block):
    """The mean of all positions, weighted by the softmax of a learnt score.  (c, t, h, w, k) -> (c, 1, 1, 1)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("pool", ops.SoftmaxPool(), x)
