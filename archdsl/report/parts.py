"""What a table tells of: the clips, stages, laterals, blocks or ops of a plan, each with its layers, cost and span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.graph import Node
from archdsl.language import Edge
from archdsl.ops import Cost, Shape
from archdsl.report.number_format import shape_lines, shape_text
from archdsl.report.table.formats import cell_text
from archdsl.report.table.layers import in_stage_table, op_in_full, op_lines, stage_lines
from archdsl.report.table.sheet import Bracket

TABLE_LEVELS = ("stage", "block", "op")


@dataclass(frozen=True)
class TablePart:
    """One thing a table tells of: a clip, a choice of frames, a stage, a lateral, the head, a block or an op."""

    kind: str
    address: str
    stage: str
    pathway: str
    layers: tuple[str | Bracket, ...]
    shape: Shape
    cost: Cost
    span: Fraction
    tick: Fraction
    """Seconds between two source frames; 0 when not known."""
    leaving: tuple[str, ...] = ()
    """Of the head: the network's outputs."""

    def record(self, total: int) -> dict[str, Any]:
        """Exact figures by name."""
        return {
            "kind": self.kind,
            "address": self.address,
            "stage": self.stage,
            "pathway": self.pathway,
            "layers": cell_text(self.layers).split("\n") if self.layers else [],
            "output": list(self.shape),
            "params": self.cost.params,
            "macs": self.cost.macs,
            "share": self.cost.macs / total if total else 0.0,
            "span_frames": float(self.span),
            "span_seconds": float(self.span * self.tick) if self.tick else None,
        }


@dataclass(frozen=True)
class PlanParts:
    """Finds the parts of a plan. One pass over the nodes gathers them by stage, lateral and block."""

    plan: Plan

    @cached_property
    def inside(self) -> Mapping[str, list[Node]]:
        """Scope address -> nodes within, in order."""
        found: dict[str, list[Node]] = {}
        for node in self.plan.nodes:
            address = node.address
            while address := address.rpartition(".")[0]:
                found.setdefault(address, []).append(node)
        return found

    def part(
        self,
        kind: str,
        address: str,
        nodes: list[Node],
        layers: tuple[str | Bracket, ...],
        *,
        stage: str = "",
        pathway: str = "",
    ) -> TablePart:
        """The part that these nodes make; the last one is its result."""
        last = nodes[-1].address
        grid = self.plan.grids[last]
        cost = Cost(*map(sum, zip(*(self.plan.costs[node.address] for node in nodes))))
        return TablePart(
            kind, address, stage, pathway, layers, self.plan.graph.shapes[last], cost, grid.t.span, grid.tick
        )

    def x(self, node: Node) -> Shape | None:
        """The shape of what a node reads first."""
        return self.plan.graph.shapes[node.reads[0]] if node.reads else None

    def stages(self) -> Iterator[TablePart]:
        """Clips, frames, stages in the order of the paper with the laterals behind them, the head."""
        nodes = self.plan.graph.nodes
        for name in self.plan.arch.clips:
            yield self.part(
                "clip",
                name,
                [nodes[name]],
                (shape_text(self.plan.inputs[name]),),
                stage="clip" if len(self.plan.inputs) == 1 else name,
            )
        for pathway, made in self.plan.arch.pathways.items():
            if chosen := nodes.get(f"{pathway}.{made.frames_name()}"):
                yield self.part("frames", chosen.address, [chosen], (chosen.op.row(),), stage="frames", pathway=pathway)
        for stage in stage_names(self.plan):
            for pathway, made in self.plan.arch.pathways.items():
                if stage in made.stages:
                    yield self.stage(pathway, stage)
            yield from self.laterals(stage)
        if head := self.inside.get("head"):
            told = [op_in_full(node.op, self.x(node)) for node in head if node.op.shown != "never"]
            part = self.part("head", "head", head, tuple(dict.fromkeys(told)), stage="head")
            yield replace(part, leaving=tuple(shape_lines(self.plan.outputs)))

    def stage(self, pathway: str, stage: str) -> TablePart:
        """One stage of one pathway."""
        address = f"{pathway}.{stage}"
        blocks: dict[str, list[Node]] = {}
        for node in self.inside[address]:
            blocks.setdefault(node.address.split(".")[2], []).append(node)
        return self.part(
            "stage",
            address,
            self.inside[address],
            stage_lines(self.plan, blocks.values()),
            stage=stage,
            pathway=pathway,
        )

    def laterals(self, stage: str) -> Iterator[TablePart]:
        """The edges that end at a stage."""
        for edge in self.plan.arch.edges:
            address = f"edges.{stage}.{edge.label}"
            if nodes := self.inside.get(address):
                yield self.lateral(edge, address, nodes)

    def lateral(self, edge: Edge, address: str, nodes: list[Node]) -> TablePart:
        """One edge: what brings the source to the target. Its output is what is merged, not the merged map."""
        *transform, merge = nodes
        brought = merge.reads[edge.place_of_source]
        grid = self.plan.grids[brought]
        cost = Cost(*map(sum, zip(Cost(), *(self.plan.costs[node.address] for node in nodes))))
        told = [line for node in transform if in_stage_table(node) for line in op_lines(node.op, self.x(node))]
        layers = (*told, f"{edge.merge} into {edge.target}")
        return TablePart(
            "lateral",
            address,
            f"{edge.source} → {edge.target}",
            edge.target,
            layers,
            self.plan.graph.shapes[brought],
            cost,
            grid.t.span,
            grid.tick,
        )

    def blocks(self) -> Iterator[TablePart]:
        """Every block, lateral and head part in the order they run."""
        containers = {address for address, scope in self.plan.scopes.items() if scope.container}
        for node in self.plan.nodes:
            address = self.block_of(node.address, containers)
            nodes = self.inside.get(address, [node])
            if node is nodes[0]:
                layers = (
                    stage_lines(self.plan, [nodes])
                    if node.reads
                    else (shape_text(self.plan.graph.shapes[node.address]),)
                )
                scope = self.plan.scopes.get(address)
                yield self.part(scope.kind.lower() if scope else "op", address, nodes, layers)

    def block_of(self, address: str, containers: set[str]) -> str:
        """The block, lateral or head around an op; the op itself where there is none."""
        parts = address.split(".")
        for i in range(1, len(parts)):
            prefix = ".".join(parts[:i])
            if prefix not in containers and self.plan.scopes[prefix].kind != "Stage":
                return prefix
        return address

    def ops(self) -> Iterator[TablePart]:
        """Every op."""
        for node in self.plan.nodes:
            layers = (
                op_in_full(node.op, self.x(node)) if node.reads else shape_text(self.plan.graph.shapes[node.address]),
            )
            yield self.part("op", node.address, [node], layers)


def stage_names(plan: Plan) -> list[str]:
    """Stage names of all pathways: each one behind the stage it follows, or that its pathway reads."""
    names: list[str] = []
    for pathway in plan.arch.pathways.values():
        source, _, stage = (pathway.after or "").partition(".")
        read = stage or (list(plan.arch.pathways[source].stages)[-1] if source else None)
        at = names.index(read) + 1 if read in names else 0
        for name in pathway.stages:
            if name not in names:
                names.insert(at, name)
            at = names.index(name) + 1
    return names


def table_parts(plan: Plan, level: str = "stage") -> tuple[TablePart, ...]:
    """What a table of that level tells of."""
    reader = PlanParts(plan)
    match level:
        case "stage":
            return tuple(reader.stages())
        case "block":
            return tuple(reader.blocks())
        case "op":
            return tuple(reader.ops())
    raise SpecError(
        f"no level {level!r}", got=level, want=", ".join(TABLE_LEVELS), fix=did_you_mean(level, TABLE_LEVELS)
    )
