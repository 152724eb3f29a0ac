"""The parameter tensors of a network: their names and shapes, as torch's `named_parameters` has them."""

from __future__ import annotations

from math import prod

from archdsl.compiler import Plan
from archdsl.graph import Graph, Node
from archdsl.ops.layer import Weights


def node_weights(graph: Graph, node: Node) -> Weights:
    """Name -> shape of the parameters that one op reads, shared or its own."""
    return node.op.weights(*(graph.shapes[read] for read in node.reads))


def weights_of(plan: Plan) -> Weights:
    """Name -> shape of every parameter; shared ones at their owner."""
    return {
        f"{node.address}.{name}": shape
        for node in plan.nodes
        if not node.tied
        for name, shape in node_weights(plan.graph, node).items()
    }


def shared_parameters(before: Plan, after: Plan) -> int:
    """Parameters of `after` that a checkpoint of `before` has under the same name and in the same shape."""
    old = weights_of(before)
    return sum(prod(shape) for name, shape in weights_of(after).items() if old.get(name) == shape)
