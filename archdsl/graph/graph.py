"""Ops under dotted addresses, with the shape and the grid of every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from archdsl.errors import Fault
from archdsl.ops import Grid, Op, Shape

UNKNOWN = "?"
"""The address of a value that could not be made: what reads it is passed over in silence, the fault is told once."""


class Node(NamedTuple):
    """One op at its place: a dotted address, which is also the prefix of its weights' names."""

    address: str
    op: Op
    reads: tuple[str, ...]
    written: str | None = None
    tied: str | None = None
    """The address of the node whose weights this one shares, or None."""


class Joints(NamedTuple):
    """What a clip's joints are: pairs of them that bones join, and the joint that distances are counted from."""

    bones: tuple[tuple[int, int], ...]
    centre: int


class Scope(NamedTuple):
    """A named group of nodes: a stage, a block, or a container such as a pathway, which is never called as a whole."""

    kind: str
    container: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can run, with the shape and the grid of every value."""

    nodes: dict[str, Node]
    shapes: dict[str, Shape]
    grids: dict[str, Grid]
    scopes: dict[str, Scope]
    outputs: dict[str, str]
    """Output name -> address of the value that leaves."""
    warnings: tuple[Fault, ...] = ()


def ancestors(graph: Graph, *values: str) -> set[str]:
    """Everything values are made from, and themselves."""
    seen, waiting = set[str](), [*values]
    while waiting:
        address = waiting.pop()
        if address not in seen:
            seen.add(address)
            waiting += graph.nodes[address].reads
    return seen


def readers_of(graph: Graph) -> dict[str, list[Node]]:
    """Value -> the nodes that read it."""
    readers: dict[str, list[Node]] = {address: [] for address in graph.nodes}
    for node in graph.nodes.values():
        for read in dict.fromkeys(node.reads):
            readers[read].append(node)
    return readers
