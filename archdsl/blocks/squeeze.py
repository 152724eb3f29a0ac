"""Squeeze and excitation (arXiv:1709.01507): channels weighted by what the whole map holds. A part of other blocks."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, add_act
from archdsl.graph import Builder
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Ratio, Real


class SqueezeExcite(Written):
    """x gate(W2 act(W1 mean(x))), one number per channel.  (c, t, h, w) -> (c, t, h, w)"""

    ratio: Ratio = Field(Fraction(1, 16), description="channels between the two layers, as a share of c")
    multiple: Count = Field(1, description="the multiple that those channels are rounded to")
    over: Literal["hw", "thw", "past"] = Field(
        "hw", description="axes of the mean: hw, each frame by itself, thw, or past: frames so far beside each frame"
    )
    act: Act = Field("relu", description="activation between the two layers")
    gate: Act = Field("sigmoid", description="activation that gives the weights")
    slope: Annotated[Real, Field(gt=0)] = Field(1.0, description="factor before the gate; 1.2 is TensorFlow's")

    def add(self, g: Builder, name: str, x: str) -> str:
        """x, its channels weighted."""
        c = g.shape(x).c
        with g.inside(name, "SqueezeExcite", written=self.written):
            y = self.mean(g, x)
            inner = divisible(c * self.ratio, self.multiple)
            y = g.add("squeeze", ops.Conv(out_channels=inner, kernel=(1, 1, 1), bias=True), y)
            y = g.add("excite", ops.Conv(out_channels=c, kernel=(1, 1, 1), bias=True), add_act(g, "act", self.act, y))
            y = g.add("slope", ops.Affine(scale=self.slope), y) if self.slope != 1 else y
            x = g.add("scale", ops.Mul(), x, add_act(g, "gate", self.gate, y))
        return x

    def mean(self, g: Builder, x: str) -> str:
        """What the gate is worked out from."""
        if self.over != "past":
            return g.add("mean", ops.Mean(over=self.over), x)
        frame = g.add("mean", ops.Mean(over="hw"), x)
        return g.add("join", ops.Concat(), g.add("so_far", ops.MeanSoFar(), frame), frame)


def divisible(channels: Fraction, multiple: int) -> int:
    """The multiple nearest to `channels`, at least one of them, and the next one where that lies 10 % below."""
    nearest = max(multiple, int(channels + Fraction(multiple, 2)) // multiple * multiple)
    return nearest if nearest >= channels * Fraction(9, 10) else nearest + multiple
