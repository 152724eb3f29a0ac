"""How far in time a network sees: per stage and pathway, and what lies in the gaps of its laterals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Any

from archdsl import ops
from archdsl.compiler import Plan
from archdsl.ops import Op, Shape
from archdsl.report.figures import number, plural, shapes_text
from archdsl.report.parts import Part, Reader
from archdsl.report.sheet import Column, Row, Table

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
    if isinstance(op, ops.FrameStep):
        return merged(seen[0], later(seen[1]) if op.by == 1 else earlier(seen[1]))
    if isinstance(op, ops.OwnTimeConv):
        return merged(around(seen[0], xs[1].t // 2), (together(seen[1]),))
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


@dataclass(frozen=True)
class Sight:
    """What one stage, lateral or head sees in time."""

    part: Part
    elements: int
    step: Fraction
    """Source frames between neighbours."""
    frames: Mapping[str, tuple[int, int]]
    """Clip -> frames that reach any element, of how many."""
    unread: tuple[int, int] = (0, 0)
    """Of a lateral: elements of its source that it never reads, of how many."""
    unseen: int = 0
    """Of a lateral: frames that its source sees and it does not."""
    window: tuple[int, int] | None = None
    """Of a lateral: the first temporal kernel smaller than its stride."""

    def record(self) -> dict[str, Any]:
        """By name."""
        return {
            "kind": self.part.kind,
            "address": self.part.address,
            "stage": self.part.stage,
            "pathway": self.part.pathway,
            "elements": self.elements,
            "step_frames": float(self.step),
            "span_frames": float(self.part.span),
            "span_seconds": float(self.part.span * self.part.tick) if self.part.tick else None,
            "frames_seen": {clip: seen for clip, (seen, _) in self.frames.items()},
            "frames": {clip: of for clip, (_, of) in self.frames.items()},
            "elements_never_read": self.unread[0],
            "frames_never_seen": self.unseen,
        }

    @property
    def gaps(self) -> str:
        """What a lateral passes over, in words."""
        if not self.unread[0]:
            return ""
        window = f"kernel {self.window[0]} at stride {self.window[1]}: " if self.window else ""
        read = f"{self.unread[0]} of {self.unread[1]} elements never read"
        return f"{window}{read}, {plural(self.unseen, 'frame')} never seen"


def sights(plan: Plan) -> tuple[Sight, ...]:
    """Every stage, lateral and the head, in the order of the paper."""
    reader, seen = Reader(plan), frames_seen(plan)
    found = []
    for part in reader.stages():
        if part.kind == "lateral":
            found.append(lateral_sight(plan, reader, part, seen))
        elif part.kind in ("stage", "head"):
            last = reader.inside[part.address][-1].address
            found.append(sight_of(plan, part, last, seen))
    return tuple(found)


def sight_of(plan: Plan, part: Part, address: str, seen: Mapping[str, Seen], **gaps: Any) -> Sight:
    """What a value sees."""
    step = plan.grids[address].t.step
    return Sight(part, len(seen[address]), step, counted(plan, together(seen[address])), **gaps)


def counted(plan: Plan, seen: int) -> dict[str, tuple[int, int]]:
    """Clip -> frames among the bits, of how many; clips that are not seen at all are left out."""
    found, first = {}, 0
    for name, (_, t, *_) in plan.inputs.items():
        here = (seen >> first) & ((1 << t) - 1)
        first += t
        if here:
            found[name] = (here.bit_count(), t)
    return found


def lateral_sight(plan: Plan, reader: Reader, part: Part, seen: Mapping[str, Seen]) -> Sight:
    """What a lateral brings, and what it passes over: its transform is followed with one bit for each element."""
    *transform, merge = reader.inside[part.address]
    brought = merge.reads[-1]
    source = transform[0].reads[0] if transform else brought
    shapes = plan.graph.shapes
    bits = {source: tuple(1 << i for i in range(shapes[source].t))}
    for node in transform:
        xs = tuple(shapes[read] for read in node.reads)
        reads = tuple(bits.get(read, (0,) * x.t) for read, x in zip(node.reads, xs))
        bits[node.address] = seen_by(node.op, xs, reads, shapes[node.address])
    read = together(bits[brought]).bit_count()
    unseen = together(seen[source]) & ~together(seen[brought])
    windows = [(n.op.kernel[0], n.op.stride[0]) for n in transform if isinstance(n.op, ops.Window)]
    return sight_of(
        plan,
        part,
        brought,
        seen,
        unread=(shapes[source].t - read, shapes[source].t),
        unseen=unseen.bit_count(),
        window=next(((k, s) for k, s in windows if 0 < k < s), None),
    )


def span_table(plan: Plan) -> Table:
    """Frames and seconds that one element sees, and frames that the whole map sees, by stage and pathway."""
    columns = (
        Column("stage"),
        Column("pathway"),
        Column("elements", right=True),
        Column("one every", right=True),
        Column("one sees", right=True),
        Column("seconds", right=True),
        Column("all see"),
        Column("gaps"),
    )
    found = sights(plan)
    rows = tuple(Row(sight_cells(sight), sight.part.kind) for sight in found)
    note = "An element's span counts what lies beyond the clip's ends (padding); `all see` counts frames of the clip."
    title = f"{plan.name}: {shapes_text(plan.inputs)}"
    return Table(title, columns, rows, tuple(sight.record() for sight in found), note)


def sight_cells(sight: Sight) -> tuple[str, ...]:
    """The cells of one stage, lateral or head."""
    part = sight.part
    single = len(sight.frames) == 1
    return (
        part.stage,
        part.pathway,
        str(sight.elements),
        frames_text(sight.step),
        frames_text(part.span),
        f"{float(part.span * part.tick):.2f} s" if part.tick else "",
        ", ".join(("" if single else f"{clip} ") + f"{n} of {of}" for clip, (n, of) in sight.frames.items()),
        sight.gaps,
    )


def frames_text(frames: Fraction) -> str:
    """1 frame, 2.5 frames."""
    return f"{number(frames)} frame{'' if frames == 1 else 's'}"
