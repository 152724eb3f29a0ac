"""One op as a graph, for those who look at it alone."""

from __future__ import annotations

from archdsl.graph import Builder, Graph
from archdsl.ops import UNIT, Grid, Op, Shape

TEXT_IDS = 9
"""Ids of tokens in a text that an op reads beside a map."""


def graph_of(op: Op, shapes: tuple[Shape, ...], grid: Grid = Grid(UNIT, UNIT, UNIT)) -> Graph:
    """One op as a graph: sources x0, x1, ... of the shapes, the op at address `op`, output `y`."""
    g = Builder()
    ids = getattr(op, "vocabulary", TEXT_IDS)
    reads = [g.source(f"x{i}", x, grid, ids * (i == op.takes_ids)) for i, x in enumerate(shapes)]
    g.outputs["y"] = g.add("op", op, *reads)
    return g.finish()
