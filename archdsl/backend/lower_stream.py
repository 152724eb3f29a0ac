"""What streams hold, and learnt gains, in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.gain import Gain
from archdsl.backend.runtime.stream import Held, MeanSoFar, Past, PastShift
from archdsl.ops import Shape


def past(op: ops.Past, x: Shape) -> Lowered:
    """Frames put in front."""
    args = (Argument("frames", op.frames), Argument("lowest", op.lowest, False))
    return Lowered("{m}({0})", "Past", args, needs=(Held, Past))


def past_shift(op: ops.PastShift, x: Shape) -> Lowered:
    """Some channels of the frame before."""
    return Lowered("{m}({0})", "PastShift", (Argument("share", op.share),), needs=(Held, PastShift))


def mean_so_far(op: ops.MeanSoFar, x: Shape) -> Lowered:
    """A running sum and its count."""
    return Lowered("{m}({0})", "MeanSoFar", needs=(Held, MeanSoFar))


def gain(op: ops.Gain, x: Shape) -> Lowered:
    """One parameter."""
    return Lowered("{m}({0})", "Gain", (Argument("start", op.start, 0.0),), needs=(Gain,))
