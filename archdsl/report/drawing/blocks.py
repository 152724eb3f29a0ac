"""A block in a few lines: its kernels along the main branch, as a paper's table writes them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from archdsl.blocks import Block, Drawn
from archdsl.compiler import Plan
from archdsl.ops import key_of
from archdsl.report.drawing.labels import op_label

MAX_BOX_LINES = 9
"""Lines in one box; a stage of more is told block by block."""
LONGEST_PATTERN = 4
"""Blocks in a pattern that repeats."""


@dataclass
class BlockSummaries:
    """Says what a plan's blocks do."""

    plan: Plan

    @cached_property
    def inner(self) -> dict[str, list[str]]:
        """Stage, block, edge or head -> addresses of its ops, in order."""
        found: dict[str, list[str]] = {}
        for address in self.plan.graph.nodes:
            scope = address
            while scope := scope.rpartition(".")[0]:
                found.setdefault(scope, []).append(address)
        return found

    def main(self, address: str) -> list[str]:
        """The ops of a block along its main branch, first to last; where several branches join, it ends.

        Of a gate and what it gates, the larger map is the main one; of a branch and its shortcut, the one read first.
        """
        members = set(self.inner[address])
        found, at = [], self.inner[address][-1]
        while True:
            found.append(at)
            node = self.plan.graph.nodes[at]
            inside = [read for read in node.reads if read in members]
            if not inside or (node.op.joins_branches and len(inside) > 1):
                return found[::-1]
            at = max(inside, key=lambda read: self.plan.graph.shapes[read].positions)

    def lines(self, address: str, *, stride: bool) -> tuple[str, ...]:
        """A block in lines: its kernels with their channels; branches as their number."""
        if told := self.block(address).summary(self.plan.shapes[address].c):
            return told
        found = []
        for at in self.main(address):
            node, y = self.plan.graph.nodes[at], self.plan.graph.shapes[at]
            x = self.plan.graph.shapes[node.reads[0]]
            if node.op.joins_branches:
                inside = sum(read.startswith(f"{address}.") for read in node.reads)
                found += [f"{inside} branches, {y.c}"] if inside > 1 else []
            elif self.plan.costs[at].macs or (x != y and not node.op.merges):
                found.append(op_label(node.op, x, y, stride=stride))
        if not found and len(self.inner[address]) == 1:
            return (op_label(node.op, x, y),)
        if len(found) > MAX_BOX_LINES - 3 or not found:
            return (f"{self.kind(self.block(address)).replace('_', ' ')}, {self.plan.shapes[address].c}",)
        return tuple(found)

    def block(self, address: str) -> Block:
        """The block of an address."""
        block = self.plan.arch.block_at(address)
        assert block
        return block

    def kind(self, block: Block) -> str:
        """A block's name in YAML."""
        return block.name if isinstance(block, Drawn) else key_of(type(block))


def repeated_patterns(words: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Words as (length of a pattern, how often it follows itself), greedily: abababc -> (2, 3), (1, 1)."""
    found, at = [], 0
    while at < len(words):
        best = (1, 1)
        for length in range(1, min(LONGEST_PATTERN, (len(words) - at) // 2) + 1):
            times = 1
            while words[at : at + length] == words[at + length * times : at + length * (times + 1)]:
                times += 1
            if times > 1 and length * times > best[0] * best[1]:
                best = (length, times)
        found.append(best)
        at += best[0] * best[1]
    return found
