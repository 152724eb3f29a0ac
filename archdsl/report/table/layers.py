"""What a stage is made of, in the paper's words: `1×3², 64` in brackets, times n."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from archdsl.compiler import Plan
from archdsl.graph import Node
from archdsl.ops import Op, Shape, key_of
from archdsl.ops.notation import triple
from archdsl.report.table.sheet import Bracket


def op_lines(op: Op, x: Shape | None) -> list[str]:
    """One op, and its stride where it has one."""
    stride = getattr(op, "stride", (1, 1, 1))
    return [op.row(x), *([f"stride {triple(*stride)}"] if stride != (1, 1, 1) else [])]


def op_in_full(op: Op, x: Shape | None) -> str:
    """One op with its stride, on one line."""
    return ", ".join(op_lines(op, x))


def in_stage_table(node: Node) -> bool:
    """Whether a table of stages tells of the op: not a norm, an activation, or the projection of a shortcut."""
    return node.op.shown == "always" and not node.address.rpartition(".")[2].startswith("shortcut")


def block_lines(plan: Plan, nodes: list[Node]) -> tuple[tuple[str, ...], str]:
    """The lines of a block's ops, and its stride as text or nothing."""
    block = plan.arch.block_at(nodes[0].address)
    if block and (told := block.summary(plan.graph.shapes[nodes[-1].address].c)):
        return told, ""
    lines = [
        node.op.row(plan.graph.shapes[node.reads[0]] if node.reads else None) for node in nodes if in_stage_table(node)
    ]
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
