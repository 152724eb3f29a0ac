"""Motion modules: what 2-D nets are given so that frames hear of their neighbours. Most stand in residual blocks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import POINT, SQUARE, Block
from archdsl.graph import UNKNOWN, Builder
from archdsl.spec.scalars import Count


class TimeShift(Block):
    """Some channels taken from the next frame, as many from the one before (TSM, arXiv:1811.08383).

    `past_only` is the online form: some from the frame before, none from the next. (c, t, h, w) -> (c, t, h, w)
    """

    share: Annotated[int, Field(strict=True, ge=2)] = Field(8, description="one channel in so many moves, each way")
    past_only: bool = Field(False, description="no channel from the next frame: for streams")

    def build(self, g: Builder, x: str) -> str:
        return g.add("shift", ops.TimeShift(share=self.share, past_only=self.past_only), x)


class ChannelTimeConv(Block):
    """Each channel convolved in time by itself.  (c, t, h, w) -> (c, t, h, w)"""

    kernel: Count = Field(3, description="frames")
    init: Literal["shift", "swap", "identity", "msra", "default"] = Field(
        "shift", description="start: shift (an eighth each way), swap (half each way), identity, msra, or default"
    )

    def build(self, g: Builder, x: str) -> str:
        return g.add("conv", time_conv(g.shape(x).c, self.kernel, self.init), x)


def time_conv(channels: int, kernel: int, init: Literal["shift", "swap", "identity", "msra", "default"]) -> ops.Conv:
    """A kernel in time for each channel."""
    return ops.Conv(out_channels=channels, kernel=(kernel, 1, 1), groups=channels, init=init)


class SnippetSteps(Block):
    """Within each snippet, frames but the first minus the one before them.  (c, n k, h, w) -> (c, n (k - 1), h, w)"""

    length: Annotated[int, Field(strict=True, ge=2)] = Field(5, description="frames of a snippet")

    def build(self, g: Builder, x: str) -> str:
        return g.add("steps", ops.SnippetSteps(length=self.length), x)


class TemporalInterlace(Block):
    """Channel groups moved in time by offsets that the clip chooses (TIN, arXiv:2001.06499).

    Of the first c / share channels: two offsets in (-2, 2) and their negatives, a quarter of the channels each, then a
    weight in (0, 2) for each frame. Weights over time tie the block to its number of frames.
    (c, t, h, w) -> (c, t, h, w)
    """

    share: Count = Field(4, description="one channel in so many moves")

    def build(self, g: Builder, x: str) -> str:
        c, t = g.shape(x).c, g.shape(x).t
        moving = c // self.share // 4 * 4
        part = g.add("part", ops.TakeChannels(start=0, count=moving), x)
        mean = g.add("mean", ops.Mean(over="hw"), part)
        part = g.add("move", ops.OwnTimeShift(), part, self.offsets(g, mean, t))
        weigh = ops.Conv(out_channels=2, kernel=(3, 1, 1), bias=True, init="default", bias_start=0.0)
        weight = g.add("weight_sigmoid", ops.Sigmoid(), g.add("weight_conv", weigh, mean))
        weight = g.add("weight_scale", ops.Affine(scale=2.0), weight)
        weight = g.add("weight_join", ops.Concat(), weight, weight)
        weight = g.add("weight_spread", ops.RepeatChannels(times=moving // 4), weight)
        part = g.add("weigh", ops.Mul(), part, weight)
        if moving == c:
            return part
        return g.add("join", ops.Concat(), part, g.add("rest", ops.TakeChannels(start=moving, count=c - moving), x))

    def offsets(self, g: Builder, mean: str, t: int) -> str:
        """Two offsets of the clip, and their negatives: (4, 1, 1, 1)."""
        y = g.add("offset_conv", ops.Conv(out_channels=1, kernel=(3, 1, 1), bias=True, init="default"), mean)
        y = g.add("offset_swap", ops.SwapTime(), y)
        y = g.add("offset_relu", ops.Relu(), g.add("offset_fc1", ops.Linear(out_features=t, init="default"), y))
        # 4 (sigmoid(0.5108) - 0.5) = 0.5: half a frame each way at the start
        y = g.add("offset_fc2", ops.Linear(out_features=2, init="default", bias_start=0.5108), y)
        y = g.add("offset_scale", ops.Affine(scale=4.0, shift=-2.0), g.add("offset_sigmoid", ops.Sigmoid(), y))
        return g.add("offset_join", ops.Concat(), y, g.add("offset_mirror", ops.Affine(scale=-1.0), y))


class TemporalAdaptive(Block):
    """Each channel gated frame by frame, then convolved in time with the clip's own kernel (TAM, arXiv:2005.06803).

    The kernel comes from all frames of the channel, by the same layers for every channel; the gate from three frames of
    all channels. Layers over time tie the block to its number of frames. (c, t, h, w) -> (c, t, h, w)
    """

    kernel: Annotated[int, Field(strict=True, ge=3)] = Field(3, description="frames of the kernel; odd")
    widen: Count = Field(2, description="hidden width of the kernel's layers, as a multiple of the frames")
    reduction: Count = Field(4, description="hidden width of the gate, as a divisor of the channels")

    def build(self, g: Builder, x: str) -> str:
        c, t = g.shape(x).c, g.shape(x).t
        mean = g.add("mean", ops.Mean(over="hw"), x)
        y = g.add("time", ops.SwapTime(), mean)
        y = g.add("kernel_fc1", ops.Linear(out_features=self.widen * t, bias=False, init="default"), y)
        y = g.add("kernel_act", ops.Relu(), g.add("kernel_norm", ops.BatchNorm(), y))
        y = g.add("kernel_fc2", ops.Linear(out_features=self.kernel, bias=False, init="default"), y)
        kernels = g.add("kernels", ops.SwapTime(), g.add("kernel_softmax", ops.Softmax(), y))
        squeeze = ops.Conv(out_channels=max(c // self.reduction, 1), kernel=(self.kernel, 1, 1), init="default")
        y = g.add("gate_norm", ops.BatchNorm(), g.add("gate_conv1", squeeze, mean))
        y = g.add("gate_act", ops.Relu(), y)
        y = g.add("gate_conv2", ops.Conv(out_channels=c, kernel=POINT, init="default"), y)
        x = g.add("gate", ops.Mul(), x, g.add("gate_sigmoid", ops.Sigmoid(), y))
        return g.add("adapt", ops.OwnTimeConv(), x, kernels)


class MotionExcitation(Block):
    """Channels weighted by how much they change to the next frame (TEA's ME, arXiv:2004.01398).

    x (sigmoid(...) + 1/2), so that what does not move passes unchanged.  (c, t, h, w) -> (c, t, h, w)
    """

    reduction: Count = Field(16, description="channels of the comparison, as a divisor of c")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        y = g.add("mean", ops.Mean(over="hw"), frame_step(g, x, max(c // self.reduction, 1), norm=True))
        y = g.add("expand_norm", ops.BatchNorm(), g.add("expand", ops.Conv(out_channels=c, kernel=POINT), y))
        gate = g.add("shift", ops.Affine(shift=0.5), g.add("sigmoid", ops.Sigmoid(), y))
        return g.add("product", ops.Mul(), x, gate)


def frame_step(g: Builder, x: str, channels: int, norm: bool) -> str:
    """Squeezed channels: those of the next frame, convolved in space, minus those of this one."""
    y = g.add("squeeze", ops.Conv(out_channels=channels, kernel=POINT), x)
    y = g.add("squeeze_norm", ops.BatchNorm(), y) if norm else y
    transform = ops.Conv(out_channels=channels, kernel=SQUARE, groups=channels)
    return g.add("step", ops.FrameStep(), y, g.add("transform", transform, y))


class ChannelMotion(Block):
    """What changes to the next frame, as a map (STM's CMM, arXiv:1908.02486).  (c, t, h, w) -> (c, t, h', w')"""

    reduction: Count = Field(16, description="channels of the comparison, as a divisor of c")
    stride: Count = Field(1, description="spatial stride of the last kernel; only the first of a repeat keeps it")

    def build(self, g: Builder, x: str) -> str:
        c, s = g.shape(x).c, self.stride
        y = frame_step(g, x, max(c // self.reduction, 1), norm=False)
        return g.add("expand", ops.Conv(out_channels=c, kernel=POINT, stride=(1, s, s)), y)


class TemporalDifference(Block):
    """Positions weighted by how they change to the next frame and to the one before (TDN's L-TDM, arXiv:2012.10071).

    Each difference is seen as it is, through a 3x3 kernel, and through one at half the size; both directions share all
    weights. (c, t, h, w) -> (c, t, h, w)
    """

    reduction: Count = Field(16, description="channels of the comparison, as a divisor of c")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        inner = max(c // self.reduction, 1)
        y = g.add("squeeze_norm", ops.BatchNorm(), g.add("squeeze", ops.Conv(out_channels=inner, kernel=POINT), x))
        moved = g.add("transform", ops.Conv(out_channels=inner, kernel=SQUARE, groups=inner), y)
        to_next = g.add("step_ahead", ops.FrameStep(by=1), y, moved)
        to_last = g.add("step_behind", ops.FrameStep(by=-1), y, moved)
        gates = [UNKNOWN, UNKNOWN]
        with g.inside("ahead", "Difference"):
            gates[0] = self.gate(g, to_next, c)
        with g.inside("behind", "Difference"), g.sharing("ahead"):
            gates[1] = self.gate(g, to_last, c)
        gate = g.add("shift", ops.Affine(shift=0.5), g.add("average", ops.Average(), *gates))
        return g.add("product", ops.Mul(), x, gate)

    def gate(self, g: Builder, step: str, c: int) -> str:
        """A difference at three scales, expanded to all channels."""
        square = ops.Conv(out_channels=g.shape(step).c, kernel=SQUARE)
        fine = g.add("fine_norm", ops.BatchNorm(), g.add("fine", square, step))
        coarse = g.add("pool", ops.AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid"), step)
        coarse = g.add("coarse_norm", ops.BatchNorm(), g.add("coarse", square, coarse))
        coarse = g.add("resize", ops.ResizeTo(onto=True), coarse, step)
        y = g.add("scales", ops.Average(), step, coarse, fine)
        y = g.add("expand_norm", ops.BatchNorm(), g.add("expand", ops.Conv(out_channels=c, kernel=POINT), y))
        return g.add("sigmoid", ops.Sigmoid(), y)


class MotionEnhanced(Block):
    """Channels weighted by how they differ from the next frame, frame means compared (TEINet's MEM, arXiv:1911.09435).

    The last frame, which has no next, passes as it is.  (c, t, h, w) -> (c, t, h, w)
    """

    reduction: Count = Field(8, description="channels of the comparison, as a divisor of c")
    sigmoid: Literal["last", "inside"] = Field("last", description="sigmoid after the last layer (paper) or before it")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        squeeze = ops.Conv(out_channels=max(c // self.reduction, 1), kernel=POINT, bias=True)
        mean = g.add("mean", ops.Mean(over="hw"), x)
        y = g.add("step", ops.FrameStep(), g.add("this", squeeze, mean), g.add("next", squeeze, mean))
        y = g.add("sigmoid", ops.Sigmoid(), y) if self.sigmoid == "inside" else y
        y = g.add("expand", ops.Conv(out_channels=c, kernel=POINT, bias=True), y)
        y = g.add("sigmoid", ops.Sigmoid(), y) if self.sigmoid == "last" else y
        return g.add("product", ops.Mul(), x, g.add("last", ops.SetFrame(), y))
