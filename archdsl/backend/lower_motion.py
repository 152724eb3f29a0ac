"""Frames against their neighbours, in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.motion import (
    FrameTuples,
    earlier,
    later,
    own_time_conv,
    own_time_shift,
    past_shift,
    set_frame,
    step_ahead,
    step_back,
    time_shift,
)
from archdsl.ops import Shape


def shift_of_time(op: ops.TimeShift, x: Shape) -> Lowered:
    """To both sides, or from the past only."""
    if op.past_only:
        return Lowered(f"past_shift({{0}}, {op.share})", needs=(earlier, past_shift))
    return Lowered(f"time_shift({{0}}, {op.share})", needs=(later, earlier, time_shift))


def frame_step(op: ops.FrameStep, x: Shape, y: Shape) -> Lowered:
    """To the next frame or to the one before."""
    step = step_ahead if op.by == 1 else step_back
    return Lowered(f"{step.__name__}({{0}}, {{1}})", needs=(step,))


def snippet_steps(op: ops.SnippetSteps, x: Shape) -> Lowered:
    """Differences within each snippet."""
    return Lowered(f"{{0}}.unflatten(2, (-1, {op.length})).diff(dim=3).flatten(2, 3)")


def one_frame(op: ops.SetFrame, x: Shape) -> Lowered:
    """One frame overwritten."""
    return Lowered(f"set_frame({{0}}, {op.frame}, {op.value})", needs=(set_frame,))


def own_conv(op: ops.OwnTimeConv, x: Shape, kernels: Shape) -> Lowered:
    """One convolution for all clips and channels."""
    return Lowered("own_time_conv({0}, {1})", needs=(own_time_conv,))


def own_shift(op: ops.OwnTimeShift, x: Shape, offsets: Shape) -> Lowered:
    """The two frames around each place, weighted."""
    return Lowered("own_time_shift({0}, {1})", needs=(own_time_shift,))


def frame_tuples(op: ops.FrameTuples, x: Shape) -> Lowered:
    """Choices listed when the network is made."""
    args = (Argument("frames", x.t), Argument("size", op.size), Argument("count", op.count))
    return Lowered("{m}({0})", "FrameTuples", args, needs=(FrameTuples,))


def mix(op: ops.Mix, x: Shape, y: Shape) -> Lowered:
    """A weighted sum."""
    return Lowered(f"{float(1 - op.share)} * {{0}} + {float(op.share)} * {{1}}")


def affine(op: ops.Affine, x: Shape) -> Lowered:
    """Two numbers, of which only those are written that do something."""
    scale = f"{op.scale} * {{0}}" if op.scale != 1 else "{0}"
    return Lowered(f"{scale} + {op.shift}" if op.shift else scale)
