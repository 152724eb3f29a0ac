"""What a stage is made of, in the paper's words: `1×3², 64` in brackets, times n."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from fractions import Fraction
from math import prod

from archdsl import ops
from archdsl.compiler import Plan
from archdsl.graph import Node
from archdsl.ops import Op, Shape, key_of
from archdsl.report.figures import area, number, triple
from archdsl.report.sheet import Bracket

QUIET = ("archdsl.ops.norm", "archdsl.ops.pointwise")
"""Ops of these modules are left unsaid in a paper's table, but for dropout."""
UNSAID = (ops.Add, ops.Mul, ops.Vector, ops.Source)


def op_text(op: Op, x: Shape | None = None) -> str:
    """One op, without its stride; `x` is what it reads."""
    match op:
        case ops.Conv() | ops.TransposedConv():
            kernel = op.window(x) if isinstance(op, ops.Conv) and x else op.kernel
            extra = [f"dilation {triple(*op.dilation)}"] if op.dilation != (1, 1, 1) else []
            if op.groups > 1:
                extra.append("depthwise" if x and op.groups == x.c else f"{op.groups} groups")
            extra += ["transposed"] if isinstance(op, ops.TransposedConv) else []
            return ", ".join([area(*kernel), str(op.out_channels), *extra])
        case ops.MaxPool() | ops.AvgPool():
            kernel = op.window(x) if x else op.kernel
            return f"{area(*kernel)} {'max' if isinstance(op, ops.MaxPool) else 'average'} pool"
        case ops.AdaptiveAvgPool():
            kind = "max" if isinstance(op, ops.AdaptiveMaxPool) else "average"
            t, h, w = (m or axis for m, axis in zip(op.size, "thw"))
            return f"global {kind} pool" if op.size == (1, 1, 1) else f"{kind} pool to {t}×{h}×{w}"
        case ops.Linear():
            return f"fc, {op.out_features}"
        case ops.Dropout():
            return f"dropout {number(op.p)}"
        case ops.TakeEvery():
            return f"stride {op.step}, 1²"
        case ops.KeyPairs():
            return f"pairs with key frames, 1 in {op.every}"
        case ops.Resize():
            return f"resize {triple(*op.scale)}"
        case ops.Mean():
            return "mean" if op.over == "thw" else f"mean over {', '.join(op.over)}"
    return " ".join([key_of(type(op)).replace("_", " "), *field_texts(op)])


def field_texts(op: Op) -> Iterable[str]:
    """The fields of an op that are not at their default: a name for words, a bare number where there is one field."""
    for field in fields(op):
        value = getattr(op, field.name)
        if value == field.default:
            continue
        text = (
            number(value)
            if isinstance(value, float | Fraction)
            else "×".join(map(str, value))
            if isinstance(value, tuple)
            else str(value)
        )
        yield text if len(fields(op)) == 1 else f"{field.name} {text}"


def op_lines(op: Op, x: Shape | None) -> list[str]:
    """One op, and its stride where it has one."""
    stride = getattr(op, "stride", (1, 1, 1))
    return [op_text(op, x), *([f"stride {triple(*stride)}"] if stride != (1, 1, 1) else [])]


def op_in_full(op: Op, x: Shape | None) -> str:
    """One op with its stride, on one line."""
    return ", ".join(op_lines(op, x))


def said(node: Node) -> bool:
    """Whether a table of stages tells of the op: not a norm, an activation, or the projection of a shortcut."""
    quiet = type(node.op).__module__ in QUIET and not isinstance(node.op, ops.Dropout)
    shortcut = node.address.rpartition(".")[2].startswith("shortcut")
    return not (quiet or shortcut or isinstance(node.op, UNSAID))


def block_lines(plan: Plan, nodes: list[Node]) -> tuple[tuple[str, ...], str]:
    """The lines of a block's ops, and its stride as text or nothing."""
    lines = [op_text(node.op, plan.graph.shapes[node.reads[0]] if node.reads else None) for node in nodes if said(node)]
    strided = any(prod(getattr(node.op, "stride", (1,))) > 1 for node in nodes)
    if not strided:
        return tuple(lines), ""
    before, after = plan.grids[nodes[0].reads[0]], plan.grids[nodes[-1].address]
    ratios = [getattr(after, axis).step / getattr(before, axis).step for axis in "thw"]
    return tuple(lines), "" if ratios == [1, 1, 1] else f"stride {triple(*ratios)}"


def stage_lines(plan: Plan, blocks: Iterable[list[Node]]) -> tuple[str | Bracket, ...]:
    """Blocks in order: equal neighbours are folded, a stride is told on a line of its own.

    Norms and activations are told only where there is nothing else.
    """
    blocks = list(blocks)
    folded: list[tuple[Bracket, str]] = []
    for nodes in blocks:
        lines, stride = block_lines(plan, nodes)
        if folded and folded[-1][0].lines == lines and not stride:
            (_, times), first_stride = folded.pop()
            folded.append((Bracket(lines, times + 1), first_stride))
        elif lines:
            folded.append((Bracket(lines), stride))
    if not folded:
        return tuple(key_of(type(node.op)).replace("_", " ") for nodes in blocks for node in nodes)
    cell: list[str | Bracket] = []
    for bracket, stride in folded:
        cell += [bracket, stride] if stride else [bracket]
    return tuple(cell)
