"""One op as a graph, for those who look at it alone."""

from __future__ import annotations

from archdsl.graph import Builder, Graph
from archdsl.ops import UNIT, Grid, Op, Shape


def graph_of(op: Op, shapes: tuple[Shape, ...], grid: Grid = Grid(UNIT, UNIT, UNIT)) -> Graph:
    """One op as a graph: sources x0, x1, ... of the shapes, the op at address `op`, output `y`."""
    g = Builder()
    reads = [g.source(f"x{i}", shape, grid) for i, shape in enumerate(shapes)]
    g.outputs["y"] = g.add("op", op, *reads)
    return g.finish()
