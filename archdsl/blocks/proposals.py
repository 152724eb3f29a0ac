"""Blocks over sequences of features: what proposals hold, and fixed scales before an activation."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, add_act
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Ratio, Real


class BoundaryMatch(Block):
    """Samples of every proposal, durations along h, starts along w.  (c, t, 1, 1) -> (c, samples, durations, t)"""

    samples: Count = Field(32, description="samples of each proposal")
    per_bin: Count = Field(3, description="places averaged in each sample")
    margin: Annotated[Ratio, Field(ge=0)] = Field(
        Fraction(1, 2), description="how far before and behind a proposal it is read, in lengths"
    )
    durations: Count | None = Field(None, description="durations, from one step on; by default all")

    def build(self, g: Builder, x: str) -> str:
        match = ops.BoundaryMatch(
            samples=self.samples, per_bin=self.per_bin, margin=Fraction(self.margin), durations=self.durations or 0
        )
        return g.add("match", match, x)


class Scale(Block):
    """A fixed number times the map, and its activation.  (c, t, h, w) -> (c, t, h, w)"""

    by: Real = Field(description="the number")
    act: Act = Field("none", description="activation, or none")

    def build(self, g: Builder, x: str) -> str:
        return add_act(g, "act", self.act, g.add("scale", ops.Affine(scale=self.by), x))
