"""The words of a drawing: kernels, strides, shapes and costs in as few signs as an engineer needs."""

from __future__ import annotations

from archdsl.ops import Op, Shape
from archdsl.report.number_format import shape_text

MERGE_SIGNS = {
    "concat": "c",
    "prepend": "c",
    "sum": "+",
    "stretched_sum": "+",
    "learnt_mix": "σ",
    "max": "m",
    "bilinear": "×",
    "interleave": "i",
    "unpool": "u",
    "before": "b",
}
"""What stands in the circle where two maps become one."""


def shape_label(x: Shape) -> str:
    """(256, 4, 56, 56) -> 256×4×56²; a vector is its length; tokens beside a map are added: 768×8×14²+1."""
    return f"{x.c}" if x.positions == 1 else shape_text(x)


def op_label(op: Op, x: Shape, y: Shape, *, stride: bool = True) -> str:
    """One op in a line: `1×3², 64 s/2`, `max 1×3²`, `linear 400`. x and y are what it reads first and writes."""
    return " ".join(filter(None, (op.label(x, y), op.strides() if stride else "")))


def full_op_label(op: Op, x: Shape, y: Shape) -> str:
    """One op as the op level names it: with its kind in front of a bare kernel."""
    return " ".join(filter(None, (op.prefix, op_label(op, x, y))))
