"""Depthwise convolutions with quicker gradients."""

from __future__ import annotations

from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, layer_of, literal_op, with_nodes
from archdsl.backend.runtime.convolution.conv import MapConv, frames_of
from archdsl.backend.runtime.convolution.depthwise import Depthwise, DepthwiseConv, map_grad, phase_grad, weight_grad
from archdsl.graph import Graph, Node
from archdsl.ops import Conv

NEEDS = (frames_of, MapConv, phase_grad, map_grad, weight_grad, Depthwise, DepthwiseConv)


def depthwise_gradients(graph: Graph) -> Graph:
    """Make the gradients of depthwise 3-D convolutions from forward convolutions, and from 2-D ones over frames.

    Exact up to rounding; a second derivative is refused. Only for channels-last maps of floats or doubles: elsewhere,
    and under autocast, torch's own run. Pays in training on CPUs: 3 to 5 times torch's backward (2.13, X3D's maps but
    the largest), a whole step of x3d_s 1.3 times.
    """
    return with_nodes(
        graph, {n.address: as_depthwise_conv(graph, n) for n in graph.nodes.values() if is_depthwise_3d(graph, n)}
    )


def is_depthwise_3d(graph: Graph, node: Node) -> bool:
    """Whether a node is a depthwise convolution over time and place that runs as a 3-D one."""
    op = literal_op(node.op)
    if not isinstance(op, Conv) or not node.reads or op.dilation != (1, 1, 1):
        return False
    x = graph.shapes[node.reads[0]]
    kt, kh, kw = op.window(x)
    run = layer_of(graph, node).module in ("nn.Conv3d", "MapConv")
    return run and op.groups == op.out_channels == x.c > 1 and kt > 1 and max(kh, kw) > 1


def as_depthwise_conv(graph: Graph, node: Node) -> Node:
    """The convolution in its other class."""
    text = layer_of(graph, node)
    new = replace(text, module="DepthwiseConv", needs=(*text.needs, *NEEDS))
    return node._replace(op=Rewritten(literal=literal_op(node.op), text=new))
