"""Networks with key frames: which ops run on key frames, which on those between, and what is held for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from archdsl.graph import Graph, Node
from archdsl.ops import HoldKeys, Interleave, KeyPairs, ResizeTo, TakeEvery

Kind = Literal["all", "key", "current"]
"""The frames that a value has: all of the clip's, the key frames, those between."""


@dataclass(frozen=True)
class Schedule:
    """Two programs over one set of weights: one for key frames, one for the frames between."""

    every: int
    kinds: dict[str, Kind]
    """Address of a value -> the frames it has."""
    held: tuple[str, ...]
    """Values of the key frame that later frames read. The key frame itself is held too."""

    def of(self, nodes: Iterable[Node], kind: Kind) -> list[Node]:
        """The ops that make a value of that kind."""
        return [node for node in nodes if self.kinds[node.address] == kind]


def schedule_of(graph: Graph) -> Schedule | None:
    """The two programs of a graph; None where there are no key frames, or some op sees more than one frame."""
    kinds: dict[str, Kind] = {}
    intervals = {op.every for op in (node.op for node in graph.nodes.values()) if isinstance(op, KeyPairs)}
    sources = [node for node in graph.nodes.values() if not node.reads]
    if len(intervals) != 1 or len(sources) != 1:
        return None
    (every,) = intervals
    for address, node in graph.nodes.items():
        kind = kind_of(graph, node, [kinds[read] for read in node.reads], every)
        if kind is None:
            return None
        kinds[address] = kind
    if any(kinds[address] != "all" for address in graph.outputs.values()) or not parted(graph, kinds):
        return None
    return Schedule(every, kinds, held_of(graph, kinds))


def held_of(graph: Graph, kinds: dict[str, Kind]) -> tuple[str, ...]:
    """Values of key frames that are read by what has other frames too."""
    readers = [node for node in graph.nodes.values() if kinds[node.address] != "key"]
    return tuple(dict.fromkeys(read for node in readers for read in node.reads if kinds[read] == "key"))


def kind_of(graph: Graph, node: Node, reads: list[Kind], every: int) -> Kind | None:
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


def parted(graph: Graph, kinds: dict[str, Kind]) -> bool:
    """Whether each stage, edge and head runs in one program as a whole; an edge may end in putting frames in order."""
    found: dict[str, set[Kind]] = {}
    for address, node in graph.nodes.items():
        kind = "current" if isinstance(node.op, Interleave) else kinds[address]
        found.setdefault(outermost(graph, address), set()).add(kind)
    return all(len(inner) == 1 for inner in found.values())


def outermost(graph: Graph, address: str) -> str:
    """The stage, edge or head around an op; the op itself where there is none."""
    names = address.split(".")
    above = (".".join(names[:i]) for i in range(1, len(names)))
    return next((scope for scope in above if not graph.scopes[scope].container), address)
