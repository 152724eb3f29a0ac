"""What torch keeps of each op: tensors saved for backward, temporaries, and how gradients are handed on.

Read off autograd's derivatives (torch 2.13) and the text of our lowerings; the benchmark sets it beside measured peaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl import ops
from archdsl.ops import Op, Shape

INDEX = 8
"""Bytes of an index (int64), as pools keep them."""
STATISTICS = 8
"""Bytes of a mean and an inverse deviation, in float32."""


@dataclass(frozen=True)
class Keeps:
    """One op at run time. Elements are of the working width, for one clip; bytes are for one clip too."""

    reads: tuple[int, ...] = ()
    """Which of the maps it reads are saved."""
    result: bool = False
    """Whether its result is saved."""
    own: int = 0
    """Elements saved beside those: padded copies, inner results."""
    own_bytes: int = 0
    """Bytes saved beside those: indices, masks, statistics."""
    passing: int = 0
    """Elements of temporaries that stand beside the result while it is made."""
    view: bool = False
    """The result lies in the storage of what is read first."""
    gradient: Literal["new", "same", "part"] = "new"
    """Of what is read: a tensor of its own, the result's own gradient, or a part of that without a copy."""
    passing_back: int = 0
    """Elements of temporaries in backward."""


NOTHING = Keeps()
SELF = Keeps(reads=(0,))
RESULT = Keeps(result=True)
BOTH = Keeps(reads=(0, 1))
RESHAPED = Keeps(view=True, gradient="same")
CUT = Keeps(view=True)
BY_KIND: dict[type[Op], Keeps] = {
    ops.Source: NOTHING,
    ops.TransposedConv: SELF,
    ops.BatchNorm: SELF,
    ops.Relu: RESULT,
    ops.Sigmoid: RESULT,
    ops.Tanh: RESULT,
    ops.Softmax: RESULT,
    ops.Relu6: SELF,
    ops.LeakyRelu: SELF,
    ops.Silu: SELF,
    ops.Hardsigmoid: SELF,
    ops.Hardswish: SELF,
    ops.Gelu: SELF,
    ops.Mean: NOTHING,
    ops.Concat: Keeps(gradient="part"),
    ops.Add: Keeps(gradient="same"),
    ops.StretchedAdd: Keeps(gradient="same"),
    ops.PairSum: NOTHING,
    ops.SetFrame: NOTHING,
    ops.SumOverTime: NOTHING,
    ops.SwapTime: RESHAPED,
    ops.OwnTimeConv: BOTH,
    ops.RepeatChannels: NOTHING,
    ops.TakeEvery: CUT,
    ops.DropFrames: CUT,
    ops.TakeChannels: CUT,
    ops.TakeLinspace: NOTHING,
    ops.TakeSegments: NOTHING,
    ops.TakeSnippets: NOTHING,
    ops.PickChannels: NOTHING,
    ops.PadChannels: NOTHING,
    ops.RepeatFrames: NOTHING,
    ops.TimeToChannels: NOTHING,
    ops.ChannelShuffle: NOTHING,
    ops.MaxOverTime: Keeps(reads=(0,), result=True),
    ops.Flatten: RESHAPED,
    ops.Vector: RESHAPED,
    ops.Series: RESHAPED,
    ops.Resize: NOTHING,
    ops.ResizeTo: NOTHING,
    ops.Gain: Keeps(reads=(0,)),
    ops.Past: NOTHING,
    ops.NewestFrame: CUT,
    ops.BoundaryMatch: NOTHING,
    ops.ValidProposals: NOTHING,
    ops.SegmentProposals: NOTHING,
    ops.CropTo: CUT,
    ops.HoldKeys: NOTHING,
    ops.Interleave: Keeps(gradient="part"),
}
"""Ops that keep the same whatever their fields and shapes."""


def keeps(op: Op, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
    """What torch keeps of an op that reads `xs` and writes `y`."""
    if type(op) in BY_KIND:
        return BY_KIND[type(op)]
    match op:
        case ops.Conv():
            return window_keeps(op, xs[0], even(op, xs[0]))
        case ops.MaxPool():
            fits = even(op, xs[0]) and all(p <= k // 2 for (p, _), k in zip(op.pads(xs[0]), op.window(xs[0])))
            return window_keeps(op, xs[0], fits, INDEX * y.elements)
        case ops.AvgPool():
            fits = even(op, xs[0]) and all(n >= k for n, k in zip(xs[0][1:], op.window(xs[0])))
            counted = 0 if fits or op.count_pad else 2 * y.elements  # the mean and its divisor
            return window_keeps(op, xs[0], fits, own=counted)
        case ops.AdaptiveMaxPool():
            return Keeps(reads=(0,), own_bytes=INDEX * y.elements)
        case ops.AdaptiveAvgPool():
            return NOTHING if set(op.size) <= {0, 1} and any(op.size) else SELF  # whole axes: a mean
        case ops.Linear():
            # channels last: where there are several positions, the rows are a copy
            return SELF if y.positions == 1 else Keeps(own=xs[0].elements)
        case ops.Dropout():
            return Keeps(own_bytes=y.elements) if training and op.p else RESHAPED
        case ops.FlattenSpace():
            return RESHAPED if xs[0].t == 1 else NOTHING
        case ops.GroupNorm() | ops.LayerNorm():
            groups = op.groups if isinstance(op, ops.GroupNorm) else y.positions
            return Keeps(reads=(0,), own_bytes=STATISTICS * groups)
        case _:
            return composed(op, xs, y)


def composed(op: Op, xs: tuple[Shape, ...], y: Shape) -> Keeps:
    """Ops that torch makes of several."""
    x, n = xs[0], y.elements
    match op:
        case ops.ScaledTanh():
            return Keeps(own=n, passing=n)
        case ops.LocalResponseNorm():
            # squares, padded along channels; the base of the power; the divisor
            return Keeps(reads=(0,), own=(x.c + op.size - 1) * x.positions + 2 * n, passing=n, passing_back=2 * n)
        case ops.Average() | ops.FrameDifference() | ops.FrameTuples() | ops.MeanSoFar():
            return Keeps(passing=n)
        case ops.Affine():
            return RESHAPED if (op.scale, op.shift) == (1, 0) else Keeps(passing=n * (op.scale != 1 and op.shift != 0))
        case ops.Mix():
            return Keeps(passing=2 * n)
        case ops.TimeShift() | ops.PastShift() | ops.FrameStep() | ops.SnippetSteps():
            return Keeps(passing=n, passing_back=n)
        case ops.OwnTimeShift():
            # what is gathered for the two frames around each place, to learn where that is
            return Keeps(own=2 * n, passing=2 * n, passing_back=2 * n)
        case ops.Gray():
            return Keeps(passing=3 * n)
        case ops.MeanJoin():
            return Keeps(passing=2 * len(xs) * n, passing_back=len(xs) * n)
        case ops.Mul():
            return Keeps(reads=(0, 1), passing_back=n)
        case ops.Maximum():
            return Keeps(reads=(0, 1), passing_back=n)
        case ops.Affinity():
            return Keeps(reads=(0, 1), passing=n * op.scale, passing_back=n * op.scale)
        case ops.Gather():
            return Keeps(reads=(0, 1), passing=n * op.mean, passing_back=n * op.mean)
        case ops.Bilinear():
            return Keeps(own=sum(x.elements for x in xs), passing=n)
        case ops.TopOverTime():
            return Keeps(own_bytes=INDEX * op.k * n, passing=op.k * n)
        case ops.WeightedOverTime():
            return Keeps(reads=(0,), passing=x.elements, passing_back=2 * x.elements)
        case ops.TvL1Flow():
            return flow_keeps(op, x)
        case ops.Scan():
            return scan_keeps(op, x, y)
        case ops.RoiAlign():
            return roi_keeps(op, x, xs[1])
        case ops.SoiPool():
            return soi_keeps(x, y)
        case ops.KeyPairs():
            return Keeps(passing=n // 2)
        case ops.Warp():
            # where it reads: two numbers for each place
            return Keeps(reads=(0,), own=2 * x.positions, passing=4 * x.positions)
        case ops.Proposals():
            return Keeps(passing=10 * x.elements)
        case ops.PlacePool():
            # running sums in double precision; each corner of a cell is an index
            return Keeps(own_bytes=4 * INDEX * n, passing=4 * x.elements + 8 * n, passing_back=4 * x.elements)
    raise AssertionError(f"what torch keeps of {type(op).__name__} is not known")


def roi_keeps(op: ops.RoiAlign, x: Shape, boxes: Shape) -> Keeps:
    """Two gathers along rows, then two along columns; indices are kept for each sample."""
    rows = boxes.t * op.size * (x.h // op.size + 1)
    columns = boxes.t * op.size * (x.w // op.size + 1)
    inner = max(rows * x.w, columns * op.size) * x.c
    return Keeps(own_bytes=2 * INDEX * (rows + columns), passing=4 * inner, passing_back=3 * inner)


def soi_keeps(x: Shape, y: Shape) -> Keeps:
    """Both maps of each maximum that makes the table of doubled lengths, then the two gathered; places and a mask."""
    levels = x.t.bit_length()
    table = levels * x.elements
    places = 2 * INDEX * y.t * y.h
    return Keeps(
        own=2 * (table - x.elements) + 2 * y.elements, own_bytes=places + y.t, passing=table, passing_back=table
    )


def scan_keeps(op: ops.Scan, terms: Shape, y: Shape) -> Keeps:
    """Every step is kept: its gates, states and what it makes of them, 7 maps of an LSTM, 6 of a GRU (counted).

    Beside the result stand the states that it is put together of, and the terms of one step, twice.
    """
    maps = 7 if isinstance(op, ops.LstmScan) else 6
    passing = y.elements + 2 * terms.elements // terms.t
    return Keeps(own=maps * y.elements, passing=passing, passing_back=terms.elements)


def flow_keeps(op: ops.TvL1Flow, x: Shape) -> Keeps:
    """Every iteration is kept: 28.5 maps of c channels and t - 1 frames, 11 before the first (counted with hooks)."""
    n = x.c * (x.t - 1) * x.h * x.w
    return Keeps(own=(22 + 57 * op.iterations) * n // 2, passing=16 * n, passing_back=16 * n)


def even(op: ops.Window, x: Shape) -> bool:
    """Whether torch pads it itself: both sides of every axis alike."""
    return all(front == back for front, back in op.pads(x))


def padded(op: ops.Window, x: Shape) -> int:
    """Elements of the map with its padding."""
    t, h, w = (n + front + back for n, (front, back) in zip(x[1:], op.pads(x)))
    return x.c * t * h * w


def window_keeps(op: ops.Window, x: Shape, fits: bool, own_bytes: int = 0, own: int = 0) -> Keeps:
    """A window keeps what it reads; where torch cannot pad it, the padded copy."""
    if fits:
        return Keeps(reads=(0,), own_bytes=own_bytes, own=own)
    return Keeps(own=padded(op, x) + own, own_bytes=own_bytes, passing_back=padded(op, x))


KNOWN = (
    *BY_KIND,
    ops.Conv,
    ops.MaxPool,
    ops.AvgPool,
    ops.AdaptiveMaxPool,
    ops.AdaptiveAvgPool,
    ops.Linear,
    ops.Dropout,
    ops.FlattenSpace,
    ops.GroupNorm,
    ops.LayerNorm,
    ops.ScaledTanh,
    ops.LocalResponseNorm,
    ops.Average,
    ops.FrameDifference,
    ops.Gray,
    ops.MeanJoin,
    ops.Mul,
    ops.Maximum,
    ops.Affinity,
    ops.Gather,
    ops.Bilinear,
    ops.TopOverTime,
    ops.WeightedOverTime,
    ops.RoiAlign,
    ops.SoiPool,
    ops.TvL1Flow,
    ops.LstmScan,
    ops.GruScan,
    ops.Affine,
    ops.Mix,
    ops.TimeShift,
    ops.FrameStep,
    ops.SnippetSteps,
    ops.FrameTuples,
    ops.OwnTimeShift,
    ops.MeanSoFar,
    ops.PastShift,
    ops.KeyPairs,
    ops.Warp,
    ops.Proposals,
    ops.PlacePool,
)
"""Every op there is; a test says so."""

HALF = (
    *(ops.Conv, ops.TransposedConv, ops.Linear, ops.OwnTimeConv),
    *(ops.Affinity, ops.Gather, ops.Bilinear, ops.BoundaryMatch),
)
"""Ops that torch.autocast runs in half precision."""
FULL = (ops.GroupNorm, ops.LayerNorm, ops.Softmax, ops.LocalResponseNorm, ops.TvL1Flow)
"""Ops that torch.autocast runs in float32 on a GPU (on a CPU also pools). Others take the widest of what they read."""
