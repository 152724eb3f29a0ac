"""Every position against every other, without the map of all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archdsl.backend.passes.base import Rewritten, weights_only, with_nodes
from archdsl.backend.runtime.pairs import attended, gathered, tokens_of
from archdsl.compiler.pairs import Pairs, pairs_of
from archdsl.graph import Graph, Node
from archdsl.ops import Affinity, Gather
from archdsl.ops.layer import Layer


def attention(graph: Graph, pairs: int = 0) -> Graph:
    """Run product, softmax over the keys and product as one scaled dot-product attention.

    By name wherever torch has a kernel for it, which is where values are as wide as keys; with a bound from so many
    pairs a channel on. Exact to rounding; only where nothing else reads the map of pairs. Pays for inference on CPUs
    once that map no longer stays in cache: 1.07 times at 3136 x 784 pairs of 256 channels, 1.4 to 1.6 at 6272 x 1568,
    2.6 to 3.2 with 64 channels there; 1.17 for slow_8x8_r50_nl_embedded. Fewer than 8192 pairs a channel lose up to a
    fifth, and so does training (0.8 to 1.1 at 256 and 512 channels).
    """
    return as_one_call(graph, (one for one in pairs_of(graph) if one.attends(pairs)), attended)


def keys_first(graph: Graph) -> Graph:
    """Multiply keys by values first where no softmax stands between the products of a non-local block.

    Exact to rounding; only where nothing else reads the map of pairs, and where it takes fewer multiply-adds. Pays on
    CPUs: 1.4 times for slow_8x8_r50_nl.
    """
    return as_one_call(graph, (one for one in pairs_of(graph) if one.keys_first), gathered)


def as_one_call(graph: Graph, found: Iterable[Pairs], call: Callable[..., object]) -> Graph:
    """The graph with each sum over pairs as one call; the ops before it keep their place."""
    new = dict[str, Node]()
    for one in found:
        *before, last = one.nodes
        new |= {node.address: weights_only(graph, node) for node in before}
        new[last.address] = last._replace(op=pairs_call(one, call), reads=one.reads)
    return with_nodes(graph, new)


def pairs_call(one: Pairs, call: Callable[..., object]) -> Rewritten:
    """The sum as one call."""
    affinity, gather = one.nodes[0].op, one.nodes[-1].op
    assert isinstance(gather, Gather)
    assert isinstance(affinity, Affinity)
    scale = f"{one.queries.c} ** -0.5" if affinity.scale else "1.0"
    mean = " / {2}[0, 0].numel()" if gather.mean else ""
    text = Layer(f"{call.__name__}({{0}}, {{1}}, {{2}}, {scale}){mean}", needs=(tokens_of, call))
    return Rewritten(literal=gather, text=text)
