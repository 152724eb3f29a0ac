"""Texts: a vector for each token, and what stands for a whole text."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Positive


class Embed(Block):
    """A learnt vector for each id of a text clip's vocabulary.  ids (1, t, h, w) -> (channels, t, h, w)"""

    channels: Width = Field(description="output channels")

    def build(self, g: Builder, x: str) -> str:
        return g.add("table", ops.Embedding(vocabulary=g.ids.get(g.known(x), 1), channels=self.channels), x)


class EndToken(Block):
    """What lies where each text ends: at the largest of its ids.  (c, t, h, w) -> (c, 1, h, w)"""

    def build(self, g: Builder, x: str) -> str:
        clip = g.source_of(x)
        if clip not in g.ids:
            what, want = "the end of what is no text", "a map made from a text clip"
            raise SpecError(what, got=f"made from clip {clip}", want=want, fix="mean: {over: t}")
        return g.add("end", ops.EndToken(), x, clip)


class L2Norm(Block):
    """The channels of each position as a vector of length 1, maybe scaled.  (c, t, h, w) -> (c, t, h, w)"""

    scale: Positive | None = Field(None, description="start of a learnt factor of each channel; by default none")

    def build(self, g: Builder, x: str) -> str:
        y = g.add("norm", ops.L2Norm(), x)
        return y if self.scale is None else g.add("scale", ops.LayerScale(start=float(self.scale)), y)
