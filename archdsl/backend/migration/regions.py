"""The series and parallel parts of a graph: ops in a row, and branches that read one value and are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.graph import Graph, ancestors


@dataclass(frozen=True)
class ParallelPart:
    """Branches that read one value, and the op that joins them."""

    join: str
    branches: tuple[PartSeries, ...]
    """In the order in which they are joined; an empty one is the value itself."""


@dataclass(frozen=True)
class TangledPart:
    """Ops of any other form, in order. The last one's result is all that is read of them."""

    nodes: tuple[str, ...]


SeriesPart = str | ParallelPart | TangledPart
"""The address of an op, or several."""
PartSeries = tuple[SeriesPart, ...]


def series_of(graph: Graph, nodes: Sequence[str], entry: str) -> PartSeries:
    """Nodes that read `entry` and one another, in order, cut wherever one value alone is read later."""
    last = {read: i for i, address in enumerate(nodes) for read in graph.nodes[address].reads}
    parts: list[SeriesPart] = []
    piece: list[str] = []
    for i, address in enumerate(nodes):
        piece.append(address)
        if all(last.get(value, -1) <= i for value in (entry, *piece[:-1])):
            parts.append(part_of_piece(graph, piece, entry))
            entry, piece = address, []
    return (*parts, TangledPart(tuple(piece))) if piece else tuple(parts)


def part_of_piece(graph: Graph, piece: Sequence[str], entry: str) -> SeriesPart:
    """Nodes between two cuts."""
    *inner, join = piece
    reads = graph.nodes[join].reads
    if not inner and reads == (entry,):
        return join
    within = [[x for x in inner if x in ancestors(graph, read)] for read in reads]
    known = {entry, *inner}
    apart = sum(map(len, within)) == len(inner) and len(set(reads)) == len(reads) > 1
    if not apart or any(read not in known for address in piece for read in graph.nodes[address].reads):
        return TangledPart(tuple(piece))
    return ParallelPart(join, tuple(series_of(graph, branch, entry) for branch in within))


def nodes_of_part(part: SeriesPart) -> list[str]:
    """The addresses of its ops."""
    if isinstance(part, str):
        return [part]
    if isinstance(part, TangledPart):
        return [*part.nodes]
    return [*(node for branch in part.branches for one in branch for node in nodes_of_part(one)), part.join]


def last_of(part: SeriesPart) -> str:
    """The address of its result."""
    return nodes_of_part(part)[-1]
