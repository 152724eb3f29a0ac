"""Maps of all pairs of positions that need not be made: what is run at once by passes, and told so by latency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archdsl.graph import Graph, Node, readers_of
from archdsl.ops import Affinity, Gather, Shape, Softmax


class Pairs(NamedTuple):
    """A product of queries and keys, a softmax over the keys where there is one, and the sum of values by it.

    Nobody else reads what is between.
    """

    nodes: tuple[Node, ...]
    reads: tuple[str, ...]
    """Addresses of queries, keys and values."""
    queries: Shape
    keys: Shape
    values: Shape

    @property
    def number(self) -> int:
        """Of pairs."""
        return self.queries.positions * self.keys.positions

    def attends(self, pairs: int) -> bool:
        """Whether torch has a kernel for it, and there are so many pairs a channel."""
        return len(self.nodes) == 3 and self.queries.c == self.values.c and self.number >= pairs * self.queries.c

    @property
    def keys_first(self) -> bool:
        """Whether there is no softmax, and keys by values first take fewer multiply-adds."""
        fewer = keys_first_macs(self.queries, self.keys, self.values) < self.number * (self.queries.c + self.values.c)
        return len(self.nodes) == 2 and fewer


def keys_first_macs(queries: Shape, keys: Shape, values: Shape) -> int:
    """Multiply-adds of keys by values, then queries by that."""
    return queries.c * values.c * (queries.positions + keys.positions)


def pairs_of(graph: Graph) -> Iterator[Pairs]:
    """Every map of pairs that one sum alone reads."""
    readers = readers_of(graph)
    for node in graph.nodes.values():
        if not isinstance(node.op, Gather):
            continue
        chain = [node]
        before = graph.nodes[node.reads[0]]
        if isinstance(before.op, Softmax) and before.op.axis == "c":
            chain.insert(0, before)
            before = graph.nodes[before.reads[0]]
        chain.insert(0, before)
        between = [one.address for one in chain[:-1]]
        alone = all(readers[at] == [after] for at, after in zip(between, chain[1:]))
        if isinstance(before.op, Affinity) and alone and not {*between} & {*graph.outputs.values()}:
            reads = (*before.reads, node.reads[1])
            queries, keys, values = (graph.shapes[read] for read in reads)
            yield Pairs(tuple(chain), reads, queries, keys, values)
