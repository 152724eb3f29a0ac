"""Whether a block is what a graph has between two values: the same ops on the same shapes, whatever they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from archdsl import ops
from archdsl.blocks.base import Block, add_block
from archdsl.errors import SpecError
from archdsl.graph import Builder, Graph, Node
from archdsl.ops import UNIT, Grid, Op, Shape

TRAINING_ONLY = ("init", "bias_start", "zero_init", "momentum", "std", "start")
"""Fields of ops that a trained network does not show."""
COMMUTING = (ops.Add, ops.Mul, ops.Average)


def op_key(op: Op, xs: tuple[Shape, ...], y: Shape) -> Any:
    """What an op does to maps of these shapes, in one form."""
    if isinstance(op, ops.Linear):
        return ("linear", xs[0].c, op.out_features, op.bias)
    if isinstance(op, ops.Conv) and not any(op.along(xs[0])) and op.groups == 1:
        return ("linear", xs[0].c, op.out_channels, op.bias)
    if isinstance(op, ops.Mean | ops.AdaptiveAvgPool):
        return ("mean", y)
    found = {one.name: getattr(op, one.name) for one in fields(op) if one.name not in TRAINING_ONLY}
    if isinstance(op, ops.Conv | ops.MaxPool | ops.AvgPool):
        found |= {"pad": op.pads(xs[0]), "kernel": op.window(xs[0])}
    return (type(op).__name__, *map(str, sorted(found.items())))


def mark_of(nodes: Mapping[str, Node], shapes: Mapping[str, Shape], entry: str, end: str) -> int:
    """A number that is equal where the ops between two values are."""
    marks: dict[str, int] = {entry: 0}
    waiting = [end]
    while waiting:
        address = waiting[-1]
        node = nodes[address]
        if address not in marks:
            if more := [read for read in node.reads if read not in marks]:
                waiting += more
                continue
            reads = [marks[read] for read in node.reads]
            key = op_key(node.op, tuple(shapes[read] for read in node.reads), shapes[address])
            marks[address] = hash((key, tuple(sorted(reads) if isinstance(node.op, COMMUTING) else reads)))
        waiting.pop()
    return marks[end]


def block_is_there(block: Block, graph: Graph, entry: str, end: str) -> bool:
    """Whether a block does what the graph has from one value to another."""
    g = Builder()
    x = g.source("x", graph.shapes[entry], Grid(UNIT, UNIT, UNIT))
    try:
        y = add_block(g, "block", block, x)
    except SpecError:
        return False
    return not g.faults and mark_of(g.nodes, g.shapes, x, y) == mark_of(graph.nodes, graph.shapes, entry, end)
