"""Networks with key frames: which ops run on key frames, which on those between, and what is held for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from archdsl.compiler.causal import METHODS, obstacle
from archdsl.graph import Graph, Node
from archdsl.ops import HoldKeys, Interleave, KeyPairs, ResizeTo, TakeEvery

FrameKind = Literal["all", "key", "current"]
"""The frames that a value has: all of the clip's, the key frames, those between."""


@dataclass(frozen=True)
class KeyFrameSchedule:
    """Two programs over one set of weights: one for key frames, one for the frames between."""

    every: int
    kinds: dict[str, FrameKind]
    """Address of a value -> the frames it has."""
    held: tuple[str, ...]
    """Values of the key frame that later frames read. The key frame itself is held too."""

    def of(self, nodes: Iterable[Node], kind: FrameKind) -> list[Node]:
        """The ops that make a value of that kind."""
        return [node for node in nodes if self.kinds[node.address] == kind]


def schedule_of(graph: Graph) -> KeyFrameSchedule | None:
    """The two programs of a graph; None where there are no key frames, or some op sees more than one frame."""
    found = scheduled(graph)
    return found if isinstance(found, KeyFrameSchedule) else None


def scheduled(graph: Graph) -> KeyFrameSchedule | str:
    """The two programs of a graph, or why it has none."""
    kinds: dict[str, FrameKind] = {}
    intervals = {op.every for op in (node.op for node in graph.nodes.values()) if isinstance(op, KeyPairs)}
    sources = [node for node in graph.nodes.values() if not node.reads]
    if len(intervals) != 1:
        return "it has key frames at several intervals" if intervals else "it has no key frames"
    if len(sources) != 1:
        return "it has several clips"
    if named := graph.scopes.keys() & METHODS:
        return f"a pathway is named {min(named)}"
    (every,) = intervals
    for address, node in graph.nodes.items():
        kind = frame_kind(graph, node, [kinds[read] for read in node.reads], every)
        if kind is None:
            return f"{address} sees more than one frame, or frames of two kinds"
        kinds[address] = kind
    for name, address in graph.outputs.items():
        if kinds[address] != "all":
            return f"output {name} has {kinds[address]} frames only"
    mixed = mixed_part(graph, kinds)
    return (
        KeyFrameSchedule(every, kinds, held_values(graph, kinds)) if not mixed else f"{mixed} mixes frames of two kinds"
    )


def whole_clips(graph: Graph) -> str | None:
    """Why a network that holds states or has key frames takes whole clips only; None where it needs no reason."""
    if any(isinstance(node.op, KeyPairs) for node in graph.nodes.values()):
        found = scheduled(graph)
        return found if isinstance(found, str) else None
    return obstacle(graph) if any(node.op.stateful for node in graph.nodes.values()) else None


def held_values(graph: Graph, kinds: dict[str, FrameKind]) -> tuple[str, ...]:
    """Values of key frames that are read by what has other frames too."""
    readers = [node for node in graph.nodes.values() if kinds[node.address] != "key"]
    return tuple(dict.fromkeys(read for node in readers for read in node.reads if kinds[read] == "key"))


def frame_kind(graph: Graph, node: Node, reads: list[FrameKind], every: int) -> FrameKind | None:
    """Which frames the result of an op has; None where that cannot be run frame by frame."""
    if not node.reads:
        return "all"
    of_clip = [not graph.nodes[read].reads for read in node.reads]
    match node.op:
        case TakeEvery():
            return "key" if of_clip == [True] and (node.op.step, node.op.start) == (every, 0) else None
        case KeyPairs():
            return "current" if of_clip == [True] else None
        case HoldKeys():
            return "current" if reads == ["key", "current"] else None
        case Interleave():
            return "all" if reads == ["key", "current"] else None
        case ResizeTo():
            alike = len({graph.shapes[read].t for read in node.reads}) == 1
        case _:
            alike = node.op.each_frame
    return reads[0] if alike and len(set(reads)) == 1 else None


def mixed_part(graph: Graph, kinds: dict[str, FrameKind]) -> str | None:
    """A stage, edge or head that runs in one program only in part; an edge may end in putting frames in order."""
    found: dict[str, set[FrameKind]] = {}
    for address, node in graph.nodes.items():
        kind = "current" if isinstance(node.op, Interleave) else kinds[address]
        found.setdefault(outermost(graph, address), set()).add(kind)
    return next((part for part, inner in found.items() if len(inner) > 1), None)


def outermost(graph: Graph, address: str) -> str:
    """The stage, edge or head around an op; the op itself where there is none."""
    names = address.split(".")
    above = (".".join(names[:i]) for i in range(1, len(names)))
    return next((scope for scope in above if not graph.scopes[scope].container), address)
