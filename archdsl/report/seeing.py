"""Which frames of the clips reach each element of each map, op by op."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Any

from archdsl import ops
from archdsl.compiler import Plan
from archdsl.ops import Op, Shape

Seen = tuple[int, ...]
"""For each element along time the source elements it sees, one bit each."""


def together(seen: Seen) -> int:
    """What all elements see."""
    return reduce(or_, seen, 0)


def merged(*seen: Seen) -> Seen:
    """Elements side by side; one element stands beside all."""
    seen = tuple(filter(None, seen))
    t = max(map(len, seen))
    return tuple(reduce(or_, (one[i if len(one) > 1 else 0] for one in seen)) for i in range(t))


def through_window(op: ops.Window, x: Shape, seen: Seen, t: int) -> Seen:
    """Each window sees what its elements see; padding sees nothing."""
    kernel, stride, dilation, front = op.window(x)[0], op.stride[0], op.dilation[0], op.pads(x)[0][0]
    if kernel == stride == 1 and not front:
        return seen
    starts = range(-front, t * stride - front, stride)
    windows = (range(start, start + dilation * kernel, dilation) for start in starts)
    return tuple(together(tuple(seen[i] for i in window if 0 <= i < len(seen))) for window in windows)


def through_transposed(op: ops.TransposedConv, x: Shape, seen: Seen, t: int) -> Seen:
    """Each element is spread over a window."""
    found = [0] * t
    for i, one in enumerate(seen):
        for k in range(op.kernel[0]):
            j = i * op.stride[0] - op.pad[0] + k * op.dilation[0]
            if 0 <= j < t:
                found[j] |= one
    return tuple(found)


def evenly(op: Op, x: Shape, seen: Seen, t: int) -> Seen:
    """Windows that part the axis evenly, as adaptive pools and interpolation have them."""
    n = len(seen)
    return tuple(together(seen[i * n // t : -(-(i + 1) * n // t)]) for i in range(t))


def packed(op: ops.TimeToChannels, x: Shape, seen: Seen, t: int) -> Seen:
    """Packs of neighbours."""
    return tuple(together(seen[i * op.factor : (i + 1) * op.factor]) for i in range(t))


def chosen(op: Any, x: Shape, seen: Seen, t: int) -> Seen:
    """Some of the elements."""
    return tuple(seen[i] for i in op.frames(x.t))


def linear(op: Op, x: Shape, seen: Seen, t: int) -> Seen:
    """Interpolation between two neighbours."""
    centres = (Fraction(2 * i + 1, 2) * len(seen) / t - Fraction(1, 2) for i in range(t))
    pairs = ((max(int(c // 1), 0), min(int(-(-c // 1)), len(seen) - 1)) for c in centres)
    return tuple(seen[a] | seen[b] for a, b in pairs)


def earlier(seen: Seen) -> Seen:
    """The element before; nothing before the first."""
    return (0, *seen[:-1])


def later(seen: Seen) -> Seen:
    """The next element; nothing after the last."""
    return (*seen[1:], 0)


def around(seen: Seen, reach: int) -> Seen:
    """Every element with so many neighbours on both sides."""
    return tuple(together(seen[max(i - reach, 0) : i + reach + 1]) for i in range(len(seen)))


def stepped(op: ops.Scan, seen: tuple[Seen, ...]) -> Seen:
    """Every element with all before it, or in reverse all after it, and their marks."""
    both = merged(*seen)
    return tuple(accumulate(both[::-1], or_))[::-1] if op.reverse else tuple(accumulate(both, or_))


def interleaved(keys: Seen, current: Seen) -> Seen:
    """Behind each key frame its current frames."""
    n = len(current) // len(keys)
    return tuple(one for i, key in enumerate(keys) for one in (key, *current[i * n : (i + 1) * n]))


ALONG_TIME: Mapping[type[Op], Callable[..., Seen]] = {
    ops.Conv: through_window,
    ops.MaxPool: through_window,
    ops.AvgPool: through_window,
    ops.TransposedConv: through_transposed,
    ops.AdaptiveAvgPool: evenly,
    ops.AdaptiveMaxPool: evenly,
    ops.TimeToChannels: packed,
    ops.TakeEvery: lambda op, x, seen, t: seen[op.start :: op.step],
    ops.TakeLinspace: chosen,
    ops.TakeSegments: chosen,
    ops.TakeSnippets: chosen,
    ops.RepeatFrames: lambda op, x, seen, t: tuple(one for one in seen for _ in range(op.times)),
    ops.TimeShift: lambda op, x, seen, t: merged(seen, earlier(seen), () if op.past_only else later(seen)),
    ops.SnippetSteps: lambda op, x, seen, t: tuple(seen[i] | seen[i - 1] for i in range(x.t) if i % op.length),
    ops.FrameDifference: lambda op, x, seen, t: merged(seen, (seen[0], *seen[:-1])),
    ops.DropFrames: lambda op, x, seen, t: seen[op.front : op.front + t],
    ops.Past: lambda op, x, seen, t: (0,) * op.frames + seen,
    ops.PastShift: lambda op, x, seen, t: merged(seen, earlier(seen)),
    ops.MeanSoFar: lambda op, x, seen, t: tuple(accumulate(seen, or_)),
    ops.NewestFrame: lambda op, x, seen, t: seen[-1:],
    ops.KeyPairs: lambda op, x, seen, t: tuple(seen[i] | seen[i - i % op.every] for i in range(x.t) if i % op.every),
}
"""Ops whose elements see other elements of what they read, or fewer. The rest see all, or the one beside them."""


SEEING_ALL = (
    *(ops.TvL1Flow, ops.RoiAlign, ops.SwapTime, ops.OwnTimeShift, ops.FrameTuples, ops.BoundaryMatch),
    *(ops.SegmentProposals, ops.SoiPool),
)
"""Ops each of whose elements sees all there is, or may."""


def seen_by(op: Op, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
    """What each element of the result sees."""
    if type(op) in ALONG_TIME:
        return ALONG_TIME[type(op)](op, xs[0], seen[0], y.t)
    if isinstance(op, ops.Resize | ops.ResizeTo) and xs[0].t != y.t:
        return (linear if op.mode == "trilinear" else evenly)(op, xs[0], seen[0], y.t)
    if isinstance(op, ops.Resize | ops.ResizeTo):
        return seen[0]
    if isinstance(op, ops.Affinity | ops.PairSum | ops.Gather):
        return merged(seen[0], (together(seen[1]),))
    if isinstance(op, ops.Scan):
        return stepped(op, seen)
    if isinstance(op, ops.FrameStep):
        return merged(seen[0], later(seen[1]) if op.by == 1 else earlier(seen[1]))
    if isinstance(op, ops.OwnTimeConv):
        return merged(around(seen[0], xs[1].t // 2), (together(seen[1]),))
    if isinstance(op, ops.HoldKeys):
        return tuple(one for one in seen[0] for _ in range(y.t // xs[0].t))
    if isinstance(op, ops.Interleave):
        return interleaved(*seen)
    if isinstance(op, ops.CropTo):
        return seen[0]
    if isinstance(op, SEEING_ALL) or any(x.t not in (1, y.t) for x in xs):
        return (together(tuple(map(together, seen))),) * y.t
    return merged(*seen)


def frames_seen(plan: Plan) -> dict[str, Seen]:
    """Address -> for each element the frames of the clips that reach it. Clips take bits one after the other."""
    found: dict[str, Seen] = {}
    first = 0
    for node in plan.nodes:
        y = plan.graph.shapes[node.address]
        if node.reads:
            xs = tuple(plan.graph.shapes[read] for read in node.reads)
            found[node.address] = seen_by(node.op, xs, tuple(found[read] for read in node.reads), y)
        else:
            timed = plan.arch.clips[node.address].modality != "boxes"  # boxes lie along the axis, not in time
            found[node.address] = tuple(timed << (first + i) for i in range(y.t))
            first += y.t
    return found
