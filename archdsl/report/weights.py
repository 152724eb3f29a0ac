"""The parameter tensors of a network: their names and shapes, as torch's `named_parameters` has them."""

from __future__ import annotations

from math import prod

from archdsl import ops
from archdsl.compiler import Plan
from archdsl.ops import Op, Shape

Shapes = dict[str, tuple[int, ...]]


def tensors_of(op: Op, *xs: Shape) -> Shapes:
    """Name -> shape of the parameters of one op."""
    match op:
        case ops.Conv():
            found: Shapes = {"weight": (op.out_channels, xs[0].c // op.groups, *op.window(xs[0]))}
            bias = op.bias and op.out_channels
        case ops.TransposedConv():
            found = {"weight": (xs[0].c, op.out_channels // op.groups, *op.kernel)}
            bias = op.bias and op.out_channels
        case ops.Linear():
            found, bias = {"weight": (op.out_features, xs[0].c)}, op.bias and op.out_features
        case ops.BatchNorm():
            found, bias = {"weight": (xs[0].c,)} if op.affine and op.scale else {}, op.affine and xs[0].c
        case ops.GroupNorm() | ops.LayerNorm():
            found, bias = {"weight": (xs[0].c,)} if op.affine else {}, op.affine and xs[0].c
        case ops.WeightedOverTime():
            found, bias = {"weight": (xs[0].t, 1, 1)}, 0
        case ops.Gain():
            found, bias = {"weight": ()}, 0
        case ops.LstmScan() | ops.GruScan():
            found, bias = {"weight": op.weight(xs[0])}, op.bias and xs[0].c
        case ops.TvL1Flow():
            return op.tensors(xs[0].c)
        case _:
            return {}
    return found | ({"bias": (bias,)} if bias else {})


def weights_of(plan: Plan) -> Shapes:
    """Name -> shape of every parameter; shared ones at their owner."""
    return {
        f"{node.address}.{name}": shape
        for node in plan.nodes
        if not node.tied
        for name, shape in tensors_of(node.op, *(plan.graph.shapes[read] for read in node.reads)).items()
    }


def carried(before: Plan, after: Plan) -> int:
    """Parameters of `after` that a checkpoint of `before` has under the same name and in the same shape."""
    old = weights_of(before)
    return sum(prod(shape) for name, shape in weights_of(after).items() if old.get(name) == shape)
