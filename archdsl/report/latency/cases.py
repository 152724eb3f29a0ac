"""A plan as the cases that a lowered, frozen network runs one after the other: what latency is measured and told by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log2, prod
from typing import NamedTuple

from archdsl import ops
from archdsl.compiler import Plan
from archdsl.compiler.chains import POINTWISE_ACTS, chain_from
from archdsl.compiler.pairs import Pairs, keys_first_macs, pairs_of
from archdsl.graph import Graph, Node, readers_of
from archdsl.ops import Op, Shape
from archdsl.report.lowering_policy import PassChoices

FUSED_FOR_FREE = (ops.BatchNorm, ops.Add, ops.Relu)
"""What behind a convolution costs nothing of its own: a norm is in the weights, the rest waits for memory."""
LAYOUT_COPY = "channels_last"
"""The kind of the copy that lays a clip out channels last."""
ATTENTION, KEYS_FIRST = "attention", "keys_first"
"""Kinds of sums over all pairs whose map is not made, named as the passes that see to it."""


class CaseSizes(NamedTuple):
    """What the time of a case is told by, beside its kind."""

    positions: int
    """Of the result, over the batch."""
    channels: int
    """Of the result."""
    width: int
    """Of the result."""
    read_channels: int
    read: int
    """Elements of the map it reads."""
    window: int
    """Elements that one element of the result is made from."""
    sums: int
    """Maps added behind a convolution."""
    functions: int
    """Functions behind a convolution that take longer than its write."""
    macs: int
    bytes: int

    @property
    def point(self) -> tuple[float, ...]:
        """Where it lies among the cases of its kind: sizes in powers of 2, a sum or a function as one."""
        ratio = self.read / (self.positions * self.channels)
        sizes = (self.positions, self.channels, self.width, self.read_channels, ratio, self.window)
        return (*map(log2, sizes), float(self.sums), float(self.functions))


class OpCall(NamedTuple):
    """One op of a case."""

    op: Op
    reads: tuple[Shape, ...]
    y: Shape


@dataclass(frozen=True)
class Case:
    """What torch is called for once: an op; a convolution with what follows it; a sum over all pairs; or a copy."""

    kind: str
    ops: tuple[Op, ...]
    reads: tuple[Shape, ...]
    """What it reads: the maps of its first op, then what later ones read beside the result before them."""

    @cached_property
    def calls(self) -> tuple[OpCall, ...]:
        """Its ops with what they read and give, in order."""
        rest, found = [*self.reads[self.taken :]], list[OpCall]()
        for op in self.ops:
            more = tuple(rest.pop(0) for _ in range(further_reads(op))) if found else self.reads[: self.taken]
            xs = (found[-1].y, *more) if found else more
            found.append(OpCall(op, xs, op.out(*xs)))
        return tuple(found)

    @property
    def y(self) -> Shape:
        """The map that it writes."""
        return self.calls[-1].y if self.calls else self.reads[0]

    @property
    def taken(self) -> int:
        """How many of the maps its first op reads."""
        return len(self.reads) - sum(map(further_reads, self.ops[1:]))

    @cached_property
    def macs(self) -> int:
        """Multiply-adds for one clip."""
        if self.kind == KEYS_FIRST:
            return keys_first_macs(*self.reads)
        return sum(call.op.cost(*call.reads).macs for call in self.calls)

    @cached_property
    def window(self) -> int:
        """Elements that one element of the result is made from."""
        if self.macs:
            return max(1, self.macs // self.y.elements)
        return prod(self.ops[0].window(self.reads[0])) if self.ops else 1

    @cached_property
    def weights(self) -> int:
        """Numbers that it holds."""
        if not self.ops:
            return 0
        return sum(map(prod, self.ops[0].weights(*self.reads[: self.taken]).values()))

    def bytes(self, batch: int) -> int:
        """Read and written, each once."""
        return 4 * (self.weights + batch * (sum(x.elements for x in self.reads) + self.y.elements))

    def sizes(self, batch: int = 1) -> CaseSizes:
        """What its time is told by."""
        x, y = self.reads[0], self.y
        return CaseSizes(
            positions=y.positions * batch,
            channels=y.c,
            width=y.tensor[3],
            read_channels=x.c,
            read=x.elements * batch,
            window=self.window,
            sums=sum(isinstance(op, ops.Add) for op in self.ops[1:]),
            functions=sum(isinstance(op, POINTWISE_ACTS) and not isinstance(op, FUSED_FOR_FREE) for op in self.ops[1:]),
            macs=self.macs * batch,
            bytes=self.bytes(batch),
        )


def further_reads(op: Op) -> int:
    """How many maps an op reads beside the one before it."""
    return (op.reads or 2) - 1


def cases_of(plan: Plan, taken: PassChoices) -> Iterator[tuple[Node, Case]]:
    """Every case of a plan beside the node whose result it gives: what channels_last, views and fusion leave.

    Of the passes taken, those are asked for that run sums over pairs at once.
    """
    readers = readers_of(plan.graph)
    shared = {node.tied for node in plan.nodes if node.tied}
    sums = {one.nodes[-1].address: (kind, one) for kind, one in fused_pairs(plan.graph, taken)}
    within = {node.address for _, one in sums.values() for node in one.nodes[:-1]}
    shapes, raw = plan.graph.shapes, set[str]()
    for node in plan.nodes:
        choice = node.op.chooses != "nothing" and node.reads[0] in raw
        if not node.reads or choice:
            raw.add(node.address)
            laid_out = (reader for reader in readers[node.address] if reader.op.chooses == "nothing")
            if any(node.address in elements_read(reader) for reader in laid_out):
                yield node, Case(LAYOUT_COPY, (), (shapes[node.address],))
        if node.address in within or not node.reads:
            continue
        if node.address in sums:
            kind, one = sums[node.address]
            yield node, Case(kind, tuple(link.op for link in one.nodes), (one.queries, one.keys, one.values))
            continue
        chain = [node]
        if isinstance(node.op, ops.Conv) and not node.tied and node.address not in shared:
            chain = chain_from(plan.graph, readers, node, within).nodes
        own = {link.address for link in chain}
        within |= own
        reads = [*node.reads, *(read for link in chain[1:] for read in link.reads if read not in own)]
        kind = node.op.kind(shapes[node.reads[0]])
        yield chain[-1], Case(kind, tuple(link.op for link in chain), tuple(shapes[read] for read in reads))


def fused_pairs(graph: Graph, taken: PassChoices) -> Iterator[tuple[str, Pairs]]:
    """Sums over all pairs whose map is not made, and the pass that sees to it."""
    choice = taken.get(ATTENTION, False)
    least = choice["pairs"] if isinstance(choice, Mapping) else 0
    for one in pairs_of(graph):
        if choice and one.attends(least):
            yield ATTENTION, one
        elif taken.get(KEYS_FIRST) and one.keys_first:
            yield KEYS_FIRST, one


def elements_read(node: Node) -> tuple[str, ...]:
    """The maps of which a node reads more than the size."""
    return node.reads[:-1] if node.op.reads_size else node.reads
