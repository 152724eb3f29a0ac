"""A graph that was read, with what several steps make together as one op: attention, a layer of a flattened map."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl import ops
from archdsl.backend.reader.read_ops import ReadOp
from archdsl.graph import Graph, Node, readers_of
from archdsl.ops import Op, Shape


def with_known_ops(graph: Graph) -> Graph:
    """The graph with ops of ours in place of steps that are one together."""
    nodes, shapes, grids = {}, dict(graph.shapes), dict(graph.grids)
    gone = {inner for attention in attentions(graph) for inner in attention[:2]}
    heads = {last: op for *_, last, op in attentions(graph)}
    for address, node in graph.nodes.items():
        if address in gone:
            continue
        if address in heads:
            scores = graph.nodes[graph.nodes[node.reads[0]].reads[0]]
            node = Node(address, heads[address], (*scores.reads, node.reads[1]))
        made = ops_of_read(node, graph)
        before = node.reads
        for suffix, op, gives in made[:-1]:
            inner = f"{address}_{suffix}"
            nodes[inner], shapes[inner], grids[inner] = Node(inner, op, before), gives, graph.grids[address]
            before = (inner,)
        nodes[address] = Node(address, made[-1][1] if made else node.op, before)
    return Graph(nodes, shapes, grids, graph.scopes, graph.outputs)


def ops_of_read(node: Node, graph: Graph) -> list[tuple[str, Op, Shape]]:
    """Ops of ours one after the other for a step that none of them is; an empty list where there are none."""
    op, x, y = node.op, graph.shapes[node.reads[0]] if node.reads else None, graph.shapes[node.address]
    if not isinstance(op, ReadOp) or x is None:
        return []
    if op.word.startswith("linear ") and y.positions == 1 and op.params and x.positions > 1:
        layer = ops.Linear(out_features=y.c, bias=len(op.params) > 1)
        inside = op.params[0][1]
        if inside == x.elements:
            return [("flatten", ops.Flatten(), Shape(inside, 1, 1, 1)), ("", layer, y)]
        if inside == x.c and x.extra:
            return [("token", ops.TakeToken(), Shape(x.c, 1, 1, 1)), ("", layer, y)]
    return []


def attentions(graph: Graph) -> Iterator[tuple[str, str, str, Op]]:
    """(products, softmax, mean of values, the op that these are) of each attention over all positions."""
    readers = readers_of(graph)
    for address, node in graph.nodes.items():
        if not is_step(node, "matmul") or [is_step(one, "softmax") for one in readers[address]] != [True]:
            continue
        shares = readers[address][0].address
        ends = readers[shares]
        if len(ends) == 1 and is_step(ends[0], "matmul") and len(ends[0].reads) == 2 and ends[0].reads[0] == shares:
            x, scores = graph.shapes[node.reads[0]], graph.shapes[shares]
            heads = scores.c // max(x.positions, 1)
            if heads and heads * x.positions == scores.c and x.c % heads == 0:
                yield address, shares, ends[0].address, ops.Attention(heads=heads)


def is_step(node: Node, word: str) -> bool:
    """Whether a node is a step of this kind that no op of ours is by itself."""
    return isinstance(node.op, ReadOp) and node.op.word == word
