"""Attention of many heads as torch's kernel, which writes no map of all pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, with_nodes
from archdsl.backend.runtime.attention.tables import TabledWindows
from archdsl.graph import Graph
from archdsl.ops import Attention, RelativeAttention, Shape, WindowAttention
from archdsl.ops.base import Op
from archdsl.ops.multi_head import MultiHead

SHORT_ROW = 16
"""The most keys of a row at which torch's kernel loses: for rows of 8 it takes 1.4 times as long."""


def heads(graph: Graph) -> Graph:
    """Run attention of many heads as scaled dot-product attention.

    Exact to rounding; only where torch has a kernel, which is where values are as wide as keys, and where a query reads
    more than 16 keys. Pays on CPUs where rows are long: at 16 frames of 224 pixels 1.6 times for videomae_vit_s, 1.3 in
    training, and 1.1 for mvit_v1_b_16x4; level at 8 frames of 112.
    """
    return with_kernel(graph, lambda op, xs: not op.weights(*xs))


def biased_heads(graph: Graph) -> Graph:
    """Run attention of many heads that learns a bias of its products as scaled dot-product attention.

    Mask and bias are summed to one that is added there; frozen, once for each kind of window, and a gather brings
    windows of one kind together. Exact to rounding, where `heads` is. Pays on CPUs in inference, 1.35 times for
    video_swin_t at 16 frames of 224 pixels. In training a bias that learns leaves torch no kernel.
    """
    return with_kernel(graph, lambda op, xs: bool(op.weights(*xs)))


def with_kernel(graph: Graph, chosen: Callable[[Op, tuple[Shape, ...]], bool]) -> Graph:
    """The graph with torch's kernel in those ops of many heads that are chosen, and whose rows are no short ones."""
    new = {}
    for node in graph.nodes.values():
        op = node.op
        if not isinstance(op, Attention | WindowAttention | RelativeAttention) or op.fused:
            continue
        if isinstance(op, Attention) and op.cap is not None:
            continue
        xs = tuple(graph.shapes[x] for x in node.reads)
        if chosen(op, xs) and xs[0].c == op.out(*xs).c and keys_read(op, xs) > SHORT_ROW:
            text = replace(op, fused=True).torch(*xs)
            if text.module == "WindowAttention":
                text = replace(text, module="TabledWindows", needs=(*text.needs, TabledWindows))
            new[node.address] = node._replace(op=Rewritten(literal=op, text=text))
    return with_nodes(graph, new)


def keys_read(op: MultiHead, xs: tuple[Shape, ...]) -> int:
    """How many keys each query reads."""
    q, k, _ = xs
    return op.pairs(q, k) // q.positions
