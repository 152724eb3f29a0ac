"""Sequences: frames of zeros, frames left out, neighbours side by side."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Whole


class PadFrames(Block):
    """Frames of zeros in front and behind.  (c, t, h, w) -> (c, front + t + back, h, w)"""

    front: Whole = Field(0, description="frames of zeros in front")
    back: Whole = Field(0, description="frames of zeros behind")

    def build(self, g: Builder, x: str) -> str:
        return g.add("pad", ops.PadFrames(front=self.front, back=self.back), x)


class DropFrames(Block):
    """Without frames in front and behind.  (c, t, h, w) -> (c, t - front - back, h, w)"""

    front: Whole = Field(0, description="frames left out in front")
    back: Whole = Field(0, description="frames left out behind")

    def build(self, g: Builder, x: str) -> str:
        return g.add("drop", ops.DropFrames(front=self.front, back=self.back), x)


class PackFrames(Block):
    """Neighbouring frames packed into channels.  (c, factor t, h, w) -> (factor c, t, h, w)"""

    factor: Count = Field(2, description="frames packed into one")

    def build(self, g: Builder, x: str) -> str:
        return g.add("pack", ops.TimeToChannels(factor=self.factor), x)
