"""Ops that see the past only: what stands for an op in a causal network, and which ops take each frame by itself."""

from __future__ import annotations

from dataclasses import replace

from archdsl.errors import SpecError
from archdsl.ops.base import Op, Shape
from archdsl.ops.channels import ChannelShuffle, PickChannels, RepeatChannels, TakeChannels
from archdsl.ops.conv import TransposedConv
from archdsl.ops.frames import FrameDifference, Gray, TakeChosen, TakeEvery
from archdsl.ops.fusion import Maximum
from archdsl.ops.gain import Gain
from archdsl.ops.linear import Linear
from archdsl.ops.merge import Add, Average, Concat, MeanJoin, Mix, Mul, StretchedAdd
from archdsl.ops.motion import TimeShift
from archdsl.ops.norm import BatchNorm, LayerNorm, LocalResponseNorm
from archdsl.ops.pointwise import (
    Affine,
    Dropout,
    Gelu,
    Hardsigmoid,
    Hardswish,
    LeakyRelu,
    Relu,
    Relu6,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from archdsl.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool, Mean
from archdsl.ops.reshape import FlattenSpace, Resize, Series, Vector
from archdsl.ops.source import Source
from archdsl.ops.stream import Held, MeanSoFar, NewestFrame, Past, PastShift
from archdsl.ops.window import Window

EACH_FRAME: tuple[type[Op], ...] = (
    *(BatchNorm, LayerNorm, LocalResponseNorm),
    *(Relu, Relu6, LeakyRelu, Silu, Sigmoid, Hardsigmoid, Tanh, ScaledTanh, Hardswish, Gelu),
    *(Affine, Dropout, Linear, Gain, Gray, FlattenSpace, Series),
    *(Concat, Add, Average, MeanJoin, Mix, Mul, StretchedAdd, Maximum),
    *(TakeChannels, PickChannels, ChannelShuffle, RepeatChannels),
)
"""Ops that take each frame by itself, whatever their fields."""
PAST: tuple[type[Op], ...] = (Source, TakeEvery, TakeChosen, FrameDifference, Held, NewestFrame)
"""Ops that see earlier frames, never later ones."""


def each_frame(op: Op) -> bool:
    """Whether frame i of the result comes from frame i alone, however many frames there are."""
    match op:
        case Window():
            return (op.kernel[0], op.stride[0]) == (1, 1) and (isinstance(op.pad, str) or op.pad[0] in (0, (0, 0)))
        case TransposedConv():
            return (op.kernel[0], op.stride[0], op.extra[0]) == (1, 1, 0)
        case AdaptiveAvgPool():
            return op.size[0] == 0
        case Mean():
            return "t" not in op.over
        case Softmax():
            return op.axis != "t"
    return type(op) in EACH_FRAME


def from_past(op: Op, *xs: Shape) -> tuple[Op, ...]:
    """The ops that stand for `op` where no frame sees a later one, in turn. Raises SpecError where nothing can."""
    if each_frame(op) or isinstance(op, PAST) or (isinstance(op, Resize) and op.scale[0] == 1):
        return (op,)
    match op:
        case Window():
            return window_from_past(op, xs[0])
        case AdaptiveAvgPool(size=(1, h, w)) if not isinstance(op, AdaptiveMaxPool):
            return AdaptiveAvgPool(size=(0, h, w)), MeanSoFar(), NewestFrame()
        case Mean():
            rest = op.over.replace("t", "")
            return (Mean(over=rest), MeanSoFar()) if rest else (MeanSoFar(),)
        case TimeShift():
            return (PastShift(share=op.share),)
        case Vector():
            return NewestFrame(), op
    raise SpecError(
        f"{type(op).__name__} may see later frames", got="a causal network", want="ops that see the past only"
    )


def window_from_past(op: Window, x: Shape) -> tuple[Op, ...]:
    """A window whose padding in time lies in front; a mean over all frames becomes that of all so far."""
    space = op.pads(x)[1:]
    if op.kernel[0] == 0:
        if type(op) is not AvgPool or op.pads(x)[0] != (0, 0):
            got = f"{type(op).__name__} {op.kernel}"
            raise SpecError("a window over all frames", got=got, want="an average without padding")
        return replace(op, kernel=(1, *op.kernel[1:]), pad=((0, 0), *space)), MeanSoFar(), NewestFrame()
    if isinstance(op, AvgPool) and not op.count_pad and op.kernel[0] > 1:
        raise SpecError("a mean that leaves padding out, over frames", got="count_pad: false", want="count_pad: true")
    reach = op.dilation[0] * (op.kernel[0] - 1)
    flat = replace(op, pad=((0, 0), *space))
    return (Past(frames=reach, lowest=isinstance(op, MaxPool)), flat) if reach else (flat,)
