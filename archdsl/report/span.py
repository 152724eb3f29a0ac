"""How far in time a network sees: per stage and pathway, and what lies in the gaps of its laterals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from archdsl.compiler import Plan, plan_of
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.ops.notation import number
from archdsl.ops.receptive_field import Seen, union
from archdsl.report.number_format import plural, shapes_text
from archdsl.report.parts import PlanParts, TablePart
from archdsl.report.table.sheet import Column, Row, Table
from archdsl.spec.budget import MOST_SEEN_BYTES


@dataclass(frozen=True)
class TemporalView:
    """What one stage, lateral or head sees in time."""

    part: TablePart
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


def frames_seen(plan: Plan) -> dict[str, Seen]:
    """Address -> for each element the frames of the clips that reach it. Clips take bits one after the other."""
    frames, elements = sum(t for _, t, *_ in plan.inputs.values()), sum(y.t for y in plan.graph.shapes.values())
    if frames * elements > 8 * MOST_SEEN_BYTES:
        got, want = f"{frames} frames, {elements} elements along time", f"a product of at most {8 * MOST_SEEN_BYTES:g}"
        raise SpecError("a clip too long for its frames to be followed", got=got, want=want, fix="fewer frames")
    found: dict[str, Seen] = {}
    first = 0
    for node in plan.nodes:
        y = plan.graph.shapes[node.address]
        if node.reads:
            xs = tuple(plan.graph.shapes[read] for read in node.reads)
            found[node.address] = node.op.sees(xs, tuple(found[read] for read in node.reads), y)
        else:
            timed = plan.arch.clips[node.address].modality != "boxes"  # boxes lie along the axis, not in time
            found[node.address] = tuple(timed << (first + i) for i in range(y.t))
            first += y.t
    return found


def temporal_views(plan: Plan) -> tuple[TemporalView, ...]:
    """Every stage, lateral and the head, in the order of the paper."""
    reader, seen = PlanParts(plan), frames_seen(plan)
    found = []
    for part in reader.stages():
        if part.kind == "lateral":
            found.append(lateral_view(plan, reader, part, seen))
        elif part.kind in ("stage", "head"):
            last = reader.inside[part.address][-1].address
            found.append(temporal_view(plan, part, last, seen))
    return tuple(found)


def temporal_view(plan: Plan, part: TablePart, address: str, seen: Mapping[str, Seen], **gaps: Any) -> TemporalView:
    """What a value sees."""
    step = plan.grids[address].t.step
    return TemporalView(part, len(seen[address]), step, frames_by_clip(plan, union(seen[address])), **gaps)


def frames_by_clip(plan: Plan, seen: int) -> dict[str, tuple[int, int]]:
    """Clip -> frames among the bits, of how many; clips that are not seen at all are left out."""
    found, first = {}, 0
    for name, (_, t, *_) in plan.inputs.items():
        here = (seen >> first) & ((1 << t) - 1)
        first += t
        if here:
            found[name] = (here.bit_count(), t)
    return found


def lateral_view(plan: Plan, reader: PlanParts, part: TablePart, seen: Mapping[str, Seen]) -> TemporalView:
    """What a lateral brings, and what it passes over: its transform is followed with one bit for each element."""
    *transform, merge = reader.inside[part.address]
    places = ((f"edges.{into}.{edge.label}", edge) for edge in plan.arch.edges for _, into in edge.places)
    brought = merge.reads[next(edge.place_of_source for address, edge in places if address == part.address)]
    source = transform[0].reads[0] if transform else brought
    shapes = plan.graph.shapes
    bits = {source: tuple(1 << i for i in range(shapes[source].t or 1))}
    for node in transform:
        xs = tuple(shapes[read] for read in node.reads)
        reads = tuple(bits.get(read, (0,) * (x.t or 1)) for read, x in zip(node.reads, xs))
        bits[node.address] = node.op.sees(xs, reads, shapes[node.address])
    read = union(bits[brought]).bit_count()
    unseen = union(seen[source]) & ~union(seen[brought])
    strides = [getattr(node.op, "stride", (1,))[0] for node in transform]
    windows = zip((node.op.window(shapes[node.reads[0]])[0] for node in transform), strides)
    return temporal_view(
        plan,
        part,
        brought,
        seen,
        unread=(shapes[source].t - read, shapes[source].t),
        unseen=unseen.bit_count(),
        window=next(((k, s) for k, s in windows if k < s), None),
    )


def span_table(arch_or_plan: Arch | Plan) -> Table:
    """Frames and seconds that one element sees, and frames that the whole map sees, by stage and pathway."""
    plan = plan_of(arch_or_plan)
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
    found = temporal_views(plan)
    rows = tuple(Row(span_cells(sight), sight.part.kind) for sight in found)
    note = "An element's span counts what lies beyond the clip's ends (padding); `all see` counts frames of the clip."
    title = f"{plan.name}: {shapes_text(plan.inputs)}"
    return Table(title, columns, rows, tuple(sight.record() for sight in found), note)


def span_cells(sight: TemporalView) -> tuple[str, ...]:
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
