"""The compiled form: ops under dotted addresses. And the builder, which blocks use to write it."""

from archdsl.graph.builder import Builder, Endless, shape_and_grid
from archdsl.graph.graph import UNKNOWN, Graph, Joints, Node, Scope, ancestors, readers_of

__all__ = [
    "UNKNOWN",
    "Builder",
    "Endless",
    "Graph",
    "Joints",
    "Node",
    "Scope",
    "ancestors",
    "readers_of",
    "shape_and_grid",
]
