"""Transforms that change the frames of a source: its steps in time against the target's."""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Norm, NormField, add_act, widened
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.transforms.base import Transform
from archdsl.spec.scalars import Count, Ratio


def ratio_of_steps(g: Builder, fine: str, coarse: str) -> int:
    """alpha: how many elements of `fine` fall on one of `coarse`, from their places in time."""
    a, b = g.grid(fine), g.grid(coarse)
    ratio = b.t.step / a.t.step * (b.tick / a.tick if a.tick and b.tick else 1)
    if ratio.denominator != 1 or ratio < 1:
        raise SpecError(
            "time steps of the pathways are not a whole ratio",
            got=f"one element every {a.t.step} and every {b.t.step} frames",
            want="the slower step a multiple of the faster",
        )
    return ratio.numerator


class Convolved(Transform):
    """Fields of a transform that convolves in time."""

    kernel: Count = Field(5, description="temporal kernel")
    width: Ratio = Field(Fraction(2), description="output channels as a multiple of the source's, rounded down")
    alpha: Count | None = Field(None, description="temporal stride; by default the ratio of the pathways' time steps")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")
    bias: bool = Field(False, description="whether the convolution has a bias")

    def finished(self, g: Builder, conv: str) -> str:
        """Norm and activation after the convolution."""
        return add_act(g, "act", self.act, self.norm.add(g, "norm", conv))


class TimeConv(Convolved):
    """T-conv of SlowFast: kernel x 1 x 1 at temporal stride alpha.  (c, alpha t, h, w) -> (width c, t, h, w)"""

    def build(self, g: Builder, x: str, target: str) -> str:
        alpha = self.alpha or ratio_of_steps(g, x, target)
        channels = widened(g.shape(x).c, self.width, "floor")
        kernel, stride = (self.kernel, 1, 1), (alpha, 1, 1)
        conv = ops.Conv(out_channels=channels, kernel=kernel, stride=stride, bias=self.bias)
        return self.finished(g, g.add("conv", conv, x))


class TimeDeconv(Convolved):
    """The way back: a transposed kernel x 1 x 1 at stride alpha.  (c, t, h, w) -> (width c, alpha t, h, w)"""

    def build(self, g: Builder, x: str, target: str) -> str:
        alpha = self.alpha or ratio_of_steps(g, target, x)
        channels = widened(g.shape(x).c, self.width, "floor")
        pad = max(self.kernel - 1, 0) // 2
        extra = alpha - self.kernel + 2 * pad
        if not 0 <= extra < max(alpha, 1):
            raise SpecError(
                "an even kernel that changes the number of frames",
                got=f"kernel {self.kernel}, alpha {alpha}",
                want="an odd kernel",
            )
        conv = ops.TransposedConv(
            out_channels=channels,
            kernel=(self.kernel, 1, 1),
            stride=(alpha, 1, 1),
            pad=(pad, 0, 0),
            extra=(extra, 0, 0),
            bias=self.bias,
        )
        return self.finished(g, g.add("conv", conv, x))


class TimeToChannels(Transform):
    """TtoC of SlowFast: alpha frames packed into channels.  (c, alpha t, h, w) -> (alpha c, t, h, w)"""

    alpha: Count | None = Field(None, description="frames in a pack; by default the ratio of the pathways' time steps")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("pack", ops.TimeToChannels(factor=self.alpha or ratio_of_steps(g, x, target)), x)


class TimeSample(Transform):
    """T-sample of SlowFast: one of every alpha frames.  (c, alpha t, h, w) -> (c, t, h, w)"""

    alpha: Count | None = Field(None, description="take every n-th; by default the ratio of the pathways' time steps")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("take", ops.TakeEvery(step=self.alpha or ratio_of_steps(g, x, target)), x)


class TimeRepeat(Transform):
    """Each frame, or the whole sequence, alpha times.  (c, t, h, w) -> (c, alpha t, h, w)"""

    alpha: Count | None = Field(None, description="how often; by default the ratio of the pathways' time steps")
    whole: bool = Field(False, description="whether all frames come again and again, instead of each in a row")

    def build(self, g: Builder, x: str, target: str) -> str:
        times = self.alpha or ratio_of_steps(g, target, x)
        return g.add("repeat", ops.RepeatFrames(times=times, whole=self.whole), x)
