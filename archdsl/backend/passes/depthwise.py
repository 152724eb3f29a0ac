"""Depthwise convolutions with quicker gradients."""

from __future__ import annotations

from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, literal, text_of, with_nodes
from archdsl.backend.runtime.conv import MapConv, frames_of
from archdsl.backend.runtime.depthwise import Depthwise, DepthwiseConv, map_grad, phase_grad, weight_grad
from archdsl.graph import Graph, Node
from archdsl.ops import Conv

NEEDS = (frames_of, MapConv, phase_grad, map_grad, weight_grad, Depthwise, DepthwiseConv)


def depthwise(graph: Graph) -> Graph:
    """Make the gradients of depthwise 3-D convolutions from forward convolutions, and from 2-D ones over frames.

    Exact up to rounding; a second derivative is refused. Only for channels-last maps of floats or doubles: elsewhere,
    and under autocast, torch's own run. Pays in training on CPUs: 3 to 5 times torch's backward (2.13, X3D's maps but
    the largest), a whole step of x3d_s 1.3 times.
    """
    return with_nodes(graph, {n.address: quick(graph, n) for n in graph.nodes.values() if in_depth(graph, n)})


def in_depth(graph: Graph, node: Node) -> bool:
    """Whether a node is a depthwise convolution over time and place that runs as a 3-D one."""
    op = literal(node.op)
    if not isinstance(op, Conv) or not node.reads or op.dilation != (1, 1, 1):
        return False
    x = graph.shapes[node.reads[0]]
    kt, kh, kw = op.window(x)
    run = text_of(graph, node).module in ("nn.Conv3d", "MapConv")
    return run and op.groups == op.out_channels == x.c > 1 and kt > 1 and max(kh, kw) > 1


def quick(graph: Graph, node: Node) -> Node:
    """The convolution in its other class."""
    text = text_of(graph, node)
    new = replace(text, module="DepthwiseConv", needs=(*text.needs, *NEEDS))
    return node._replace(op=Rewritten(literal=literal(node.op), text=new))
