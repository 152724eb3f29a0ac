"""Reads what a drawing shows from a plan: boxes in words, at a level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from archdsl.blocks import Block
from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Edge
from archdsl.ops import Cost, Shape
from archdsl.report.drawing.blocks import MAX_BOX_LINES, BlockSummaries, repeated_patterns
from archdsl.report.drawing.labels import full_op_label, op_label, shape_label
from archdsl.report.drawing.parts import DrawingBox, DrawingParts, Lane, LateralArrow, LineGroup

DRAWING_LEVELS = ("pathway", "stage", "block", "op")
MAX_NAMED_FUSIONS = 6
"""Fusions between two pathways that are named; more are counted."""


def drawing_parts(plan: Plan, level: str) -> DrawingParts:
    """What is drawn of a plan at a level: pathway, stage or block. Raises SpecError for another level."""
    if level not in DRAWING_LEVELS:
        raise SpecError(
            f"no level {level!r}", got=level, want=", ".join(DRAWING_LEVELS), fix=did_you_mean(level, DRAWING_LEVELS)
        )
    return PlanReader(plan, level).read()


@dataclass
class PlanReader:
    """Reads a plan for one level."""

    plan: Plan
    level: str

    @cached_property
    def words(self) -> BlockSummaries:
        """What is said of blocks."""
        return BlockSummaries(self.plan)

    @property
    def inner(self) -> dict[str, list[str]]:
        """Stage, block, edge or head -> addresses of its ops, in order."""
        return self.words.inner

    def read(self) -> DrawingParts:
        lanes = tuple(self.lane(name) for name in self.lane_order())
        laterals = tuple(self.edges_as_one() if self.level == "pathway" else self.laterals())
        return DrawingParts(self.plan, self.level, lanes, laterals, self.head(), self.head_reads())

    def lane_order(self) -> list[str]:
        """Pathways of one clip stand together, else as written."""
        clips = list(self.plan.arch.clips)
        return sorted(self.plan.arch.pathways, key=lambda name: clips.index(self.clip_of(name)))

    def clip_of(self, name: str) -> str:
        """The clip a pathway sees, maybe through other pathways."""
        pathway = self.plan.arch.pathways[name]
        if pathway.after:
            return self.clip_of(pathway.after.partition(".")[0])
        return pathway.clip or next(iter(self.plan.arch.clips))

    def lane(self, name: str) -> Lane:
        pathway = self.plan.arch.pathways[name]
        items = [self.entry(name)]
        if self.level == "pathway":
            items.append(self.whole(name))
        else:
            items += [item for stage in pathway.stages for item in self.of_stage(name, stage)]
        return Lane(
            name, tuple(items), self.clip_of(name), self.end_key(*self.source_of(name)) if pathway.after else None
        )

    def source_of(self, name: str) -> tuple[str, str]:
        """(pathway, stage) that a pathway reads."""
        source, _, stage = (self.plan.arch.pathways[name].after or "").partition(".")
        return source, stage or list(self.plan.arch.pathways[source].stages)[-1]

    def item(
        self,
        key: str,
        row: str,
        name: str,
        address: str,
        groups: tuple[LineGroup, ...],
        value: str,
        note: str = "",
        entry: bool = False,
    ) -> DrawingBox:
        """A box whose output is `value`."""
        cost = self.plan.cost_of(address)
        share = cost.macs / self.plan.macs if self.plan.macs else 0.0
        shape, frames = self.plan.graph.shapes[value], self.frames(value)
        return DrawingBox(key, row, name, address, groups, shape, cost, share, frames, note, entry)

    @cached_property
    def origins(self) -> dict[str, str]:
        """Value -> the clip it comes from, by the first of what its op reads."""
        found: dict[str, str] = {}
        for address, node in self.plan.graph.nodes.items():
            found[address] = found[node.reads[0]] if node.reads else address
        return found

    def frames(self, value: str) -> tuple[float, ...]:
        """Where a value's frames lie in the clip it comes from."""
        total, t = self.plan.graph.shapes[self.origins[value]].t, self.plan.graph.grids[value].t
        places = (
            float(t.start + t.step * i + t.step.__class__(1, 2)) / total for i in range(self.plan.graph.shapes[value].t)
        )
        return tuple(min(max(round(place, 4), 0.0), 1.0) for place in places)

    def entry(self, name: str) -> DrawingBox:
        """The frames a pathway sees."""
        pathway = self.plan.arch.pathways[name]
        chosen = f"{name}.{pathway.frames_name()}"
        if chosen in self.plan.graph.nodes:
            y = self.plan.graph.shapes[chosen]
            text, value = op_label(self.plan.graph.nodes[chosen].op, y, y), chosen
        else:
            first = self.inner[f"{name}.{next(iter(pathway.stages))}"][0]
            value = self.plan.graph.nodes[first].reads[0]
            text = f"output of {pathway.after}" if pathway.after else "every frame"
        row = f"after {name}" if pathway.after else "the clip"  # no stage has a name of two words
        return self.item(
            chosen, row, name, name, (LineGroup((text,)),), value, "tied" if pathway.tied_to else "", entry=True
        )

    def whole(self, name: str) -> DrawingBox:
        """A pathway in one box: its stages in a line each."""
        lines = []
        for stage in self.plan.arch.pathways[name].stages:
            blocks = len(self.plan.arch.pathways[name].stages[stage].blocks)
            shape = self.plan.shapes[f"{name}.{stage}"]
            lines.append(f"{stage}: {shape_label(shape)}" + (f", {blocks} blocks" if blocks > 1 else ""))
        return self.item(
            name, "pathway", f"{name}: stages", name, (LineGroup(tuple(lines)),), self.inner[f"{name}.{stage}"][-1]
        )

    def of_stage(self, name: str, stage: str) -> Iterator[DrawingBox]:
        """One box per stage, or one per run of equal blocks."""
        address = f"{name}.{stage}"
        blocks = [
            (f"{address}.{i}", block) for i, block in enumerate(self.plan.arch.pathways[name].stages[stage].blocks)
        ]
        if self.level == "stage":
            groups, note = self.folded(blocks)
            yield self.item(address, stage, stage, address, groups, self.inner[address][-1], note)
            return
        start = 0
        ends = [f"{e.source}.{a}" for e in self.plan.arch.edges for a, _ in e.places]
        left = {at: sum(before in ends for before, _ in blocks[:i]) for i, (at, _) in enumerate(blocks)}
        for _, run in groupby(
            blocks,
            key=lambda pair: (
                left[pair[0]],  # a box ends where an edge leaves
                self.words.kind(pair[1]),
                self.words.lines(pair[0], stride=True),
                self.plan.shapes[pair[0]],
            ),
        ):
            members = [pair[0] for pair in run]
            label = f"{stage}.{start}" if len(members) == 1 else f"{stage}.{start}–{start + len(members) - 1}"
            key = members[-1]
            group = LineGroup(self.words.lines(members[0], stride=True), len(members))
            yield self.run_of_blocks(key, stage, label, members, group, self.words.kind(blocks[start][1]))
            start += len(members)

    def run_of_blocks(
        self, key: str, row: str, label: str, members: list[str], group: LineGroup, kind: str
    ) -> DrawingBox:
        """Equal blocks one after the other, as one box that stands for all."""
        made = self.item(key, row, label, members[0], (group,), self.inner[members[-1]][-1], kind)
        cost = Cost(*map(sum, zip(*(self.plan.cost_of(member) for member in members))))
        share = cost.macs / self.plan.macs if self.plan.macs else 0.0
        return replace(made, cost=cost, share=share)

    def folded(self, blocks: list[tuple[str, Block]]) -> tuple[tuple[LineGroup, ...], str]:
        """A stage's blocks, what repeats as one group; and the strides that the groups leave out."""
        words = [(self.words.kind(block), self.words.lines(address, stride=False)) for address, block in blocks]
        groups, hidden, start = [], "", 0
        for length, times in repeated_patterns(words):
            members = [address for address, _ in blocks[start : start + length]]
            lines = [line for address in members for line in self.words.lines(address, stride=times == 1)]
            groups.append(LineGroup(tuple(lines), times))
            hidden = hidden or (self.strides_in(members) if times > 1 else "")
            start += length * times
        if sum(len(group.lines) for group in groups) > MAX_BOX_LINES:
            groups = self.by_kind(blocks)
        return tuple(groups), hidden

    def strides_in(self, blocks: list[str]) -> str:
        """The strides along the main branches of blocks."""
        ops = [self.plan.graph.nodes[at].op for block in blocks for at in self.words.main(block)]
        return " ".join(dict.fromkeys(filter(None, (op.strides() for op in ops))))

    def by_kind(self, blocks: list[tuple[str, Block]]) -> list[LineGroup]:
        """A stage of many unlike blocks, in a line for each kind that follows another; what repeats as one group."""
        lines = []
        for kind, run in groupby(blocks, key=lambda pair: self.words.kind(pair[1])):
            widths = [self.plan.shapes[address].c for address, _ in run]
            ends = str(widths[0]) if min(widths) == max(widths) else f"{widths[0]}…{widths[-1]}"
            lines.append((f"{kind.replace('_', ' ')}, {ends}", len(widths)))
        groups, start = [], 0
        for length, times in repeated_patterns(lines):
            mine = lines[start : start + length]
            if length == times == 1:
                groups.append(LineGroup((mine[0][0],), mine[0][1]))
            else:
                groups.append(LineGroup(tuple(f"{words} ×{n}" if n > 1 else words for words, n in mine), times))
            start += length * times
        return groups

    def end_key(self, pathway: str, stage: str) -> str:
        """The key of the item whose output is the stage's, or that of a block in it: `res4.2`."""
        if self.level == "pathway":
            return pathway
        stage, _, block = stage.partition(".")
        last = len(self.plan.arch.pathways[pathway].stages[stage].blocks) - 1
        return f"{pathway}.{stage}.{block or last}" if self.level == "block" else f"{pathway}.{stage}"

    def laterals(self) -> Iterator[LateralArrow]:
        """Every fusion, in the order in which a target takes them."""
        for edge in self.plan.arch.edges:
            for source, target in edge.places:
                address = f"edges.{target}.{edge.label}"
                lines, shape = self.transform(address, edge)
                yield LateralArrow(
                    address,
                    self.end_key(edge.source, source),
                    self.end_key(edge.target, target),
                    lines,
                    shape,
                    edge.merge,
                )

    def edges_as_one(self) -> Iterator[LateralArrow]:
        """Between two pathways, every kind of fusion once."""
        found: dict[tuple[str, str, tuple[str, ...], str], list[tuple[str, str, str]]] = {}
        for edge in self.plan.arch.edges:
            lines, _ = self.transform(f"edges.{edge.places[0][1]}.{edge.label}", edge)
            places = [(edge.label, a, b) for a, b in edge.places]
            found.setdefault((edge.source, edge.target, lines, edge.merge), []).extend(places)
        for (source, target, lines, merge), places in found.items():
            names = [a if a == b else f"{a}→{b}" for _, a, b in places]
            where = f"after {', '.join(names)}" if len(names) <= MAX_NAMED_FUSIONS else f"{len(names)} times"
            address = f"edges.{places[0][2]}.{places[0][0]}"
            yield LateralArrow(address, source, target, (*lines, merge.replace("_", " ")), where, merge)

    def transform(self, address: str, edge: Edge) -> tuple[tuple[str, ...], str]:
        """What an edge does to its source, and the shape it brings."""
        *before, merge = self.inner[address]
        told = [transform.summary() for transform in edge.transform]
        lines = [line for one in told for line in one] if all(told) else []
        for at in () if lines else before:
            node, y = self.plan.graph.nodes[at], self.plan.graph.shapes[at]
            x = self.plan.graph.shapes[node.reads[0]]
            if self.plan.costs[at].macs or x != y:
                lines.append(self.lateral_line(at, x, y))
        brought = self.plan.graph.nodes[merge].reads[edge.place_of_source]
        return tuple(lines) or ("as it is",), shape_label(self.plan.graph.shapes[brought])

    def lateral_line(self, at: str, x: Shape, y: Shape) -> str:
        """One op of a transform. Its channels are in the shape written below."""
        op = self.plan.graph.nodes[at].op
        if op.prefix:
            return ", ".join(filter(None, (full_op_label(op, x, y).split(", ")[0], op.strides())))
        return op_label(op, x, y)

    def head(self) -> DrawingBox:
        """The head: its ops in the order in which they run, equal ones once. It may have none."""
        found: Counter[str] = Counter()
        for at in self.inner.get("head", ()):
            node = self.plan.graph.nodes[at]
            if node.op.shown != "never":
                x = self.plan.graph.shapes[node.reads[0]]
                found[op_label(node.op, x, self.plan.graph.shapes[at])] += 1
        words = [text if n == 1 else f"{n} × {text}" for text, n in found.items()] or ["as it is"]
        return self.item("head", "head", "head", "head", (LineGroup(tuple(words)),), self.head_values()[-1])

    def head_values(self) -> list[str]:
        """The results of the head's ops; where it has none, the network's outputs."""
        return self.inner.get("head") or list(self.plan.graph.outputs.values())

    def head_reads(self) -> tuple[str, ...]:
        """The items whose values the head's ops read, or that leave as they are."""
        keys, nodes, edges = dict[str, None](), self.plan.graph.nodes, self.plan.arch.edges
        for read in [read for at in self.inner.get("head", ()) for read in nodes[at].reads] or self.head_values():
            first, *rest = read.split(".")
            if first == "edges":
                into, label = rest[:2]
                edge = next(e for e in edges if e.label == label and into in [b for _, b in e.places])
                keys[self.end_key(edge.target, into)] = None
            elif first in self.plan.arch.pathways and len(rest) > 1:
                keys[self.end_key(first, rest[0])] = None
        return tuple(keys)
