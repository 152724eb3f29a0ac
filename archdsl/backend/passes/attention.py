"""Every position against every other, without the map of all pairs."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.backend.lowered import Lowered
from archdsl.backend.passes.base import Rewritten, kept_only, with_nodes
from archdsl.backend.runtime_pairs import attended, gathered, tokens_of
from archdsl.graph import Graph, Node, readers_of
from archdsl.ops import Affinity, Gather, Op, Shape, Softmax

LARGE = 2**13
"""Pairs a channel from which the map of all pairs no longer stays in cache."""


def attention(graph: Graph) -> Graph:
    """Run product, softmax over the keys and product as one scaled dot-product attention, where the map is large.

    Exact to rounding; only where nothing else reads the map of pairs. Pays for inference on CPUs from 8192 pairs a
    channel, values as wide as keys: 1.07 times at 3136 x 784 pairs of 256 channels, 1.4 to 1.6 at 6272 x 1568, 2.6 to
    3.2 with 64 channels there; 1.17 for slow_8x8_r50_nl_embedded. Smaller ones lose up to a fifth and stay, and so
    does training (0.8 to 1.1 at 256 and 512 channels).
    """
    return without_pairs(graph, (Softmax, Affinity), attended, large)


def keys_first(graph: Graph) -> Graph:
    """Multiply keys by values first where no softmax stands between the products of a non-local block.

    Exact to rounding; only where nothing else reads the map of pairs, and where it takes fewer multiply-adds. Pays on
    CPUs: 1.4 times for slow_8x8_r50_nl.
    """
    return without_pairs(graph, (Affinity,), gathered, fewer)


def large(queries: Shape, keys: Shape, values: Shape) -> bool:
    """Whether torch has a kernel for it, and the map of pairs is large beside the width."""
    return queries.c == values.c and queries.positions * keys.positions >= LARGE * queries.c


def fewer(queries: Shape, keys: Shape, values: Shape) -> bool:
    """Whether the product of keys and values takes fewer multiply-adds than the pairs."""
    pairs = queries.positions * keys.positions * (queries.c + values.c)
    return queries.c * values.c * (queries.positions + keys.positions) < pairs


def without_pairs(
    graph: Graph, kinds: tuple[type[Op], ...], call: Callable[..., object], pays: Callable[[Shape, Shape, Shape], bool]
) -> Graph:
    """The graph with each Gather at once with the ops of these kinds before it, nearest first, where it pays."""
    readers, new = readers_of(graph), dict[str, Node]()
    for node in graph.nodes.values():
        chain = chain_before(graph, readers, node, kinds) if isinstance(node.op, Gather) else []
        if not chain:
            continue
        reads = (*chain[-1].reads, node.reads[1])
        if pays(*(graph.shapes[read] for read in reads)):
            new |= {one.address: kept_only(graph, one) for one in chain}
            new[node.address] = node._replace(op=at_once(graph, node, chain[-1], call), reads=reads)
    return with_nodes(graph, new)


def chain_before(graph: Graph, readers: dict[str, list[Node]], last: Node, kinds: tuple[type[Op], ...]) -> list[Node]:
    """Nodes of these kinds, each read by the next one only; none if they are not all there."""
    chain = [last]
    for kind in kinds:
        node = graph.nodes[chain[-1].reads[0]]
        alone = readers[node.address] == [chain[-1]] and node.address not in graph.outputs.values()
        if not alone or not isinstance(node.op, kind) or (isinstance(node.op, Softmax) and node.op.axis != "c"):
            return []
        chain.append(node)
    return chain[1:]


def at_once(graph: Graph, gather: Node, affinity: Node, call: Callable[..., object]) -> Rewritten:
    """The whole chain as one call."""
    assert isinstance(gather.op, Gather)
    assert isinstance(affinity.op, Affinity)
    scale = f"{graph.shapes[affinity.reads[0]].c} ** -0.5" if affinity.op.scale else "1.0"
    mean = " / {2}[0, 0].numel()" if gather.op.mean else ""
    text = Lowered(f"{call.__name__}({{0}}, {{1}}, {{2}}, {scale}){mean}", needs=(tokens_of, call))
    return Rewritten(literal=gather.op, text=text)
