"""Convolutions whose window has one frame or one pixel, as 2-D ones over a view."""

from __future__ import annotations

from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, layer_of, with_nodes
from archdsl.backend.runtime.conv import ColumnConv, FrameConv, MapConv, clips_of, columns_of, frames_of
from archdsl.graph import Graph, Node
from archdsl.ops import Conv, Shape
from archdsl.ops.layer import Layer


def views(graph: Graph, channels: int | None = None) -> Graph:
    """Run 1 x k x k convolutions over frames as images, k x 1 x 1 ones over columns: views, no copies.

    By name all of them; with a bound those that read or write up to so many channels. Exact on channels-last maps,
    elsewhere with a copy. Pays on CPUs: 1.3 to 1.9 times for k x 1 x 1, 3 to 5 times for up to 64 channels (a Fast
    pathway's convolutions, stems, res2), for which oneDNN's 3-D convolution is slow unless its weight is packed; for
    wider 1 x k x k ones it is level with a channels-last 3-D convolution. In training up to 2.7 times for those of 64
    channels, but 0.9 for wider ones: with 64 for 32 a step is 1.03 (r2plus1d_18, 8 frames) to 1.15 times (x3d_s)
    quicker, and level for slow_8x8_r50, slowfast_8x8_r50 and r2plus1d_16x4_r50 on clips of their own size.
    """
    return with_nodes(
        graph, {n.address: as_view_layer(graph, n, channels) for n in graph.nodes.values() if is_unchanged_conv(n)}
    )


def is_unchanged_conv(node: Node) -> bool:
    """Whether a node is a convolution that no pass has written anew."""
    return isinstance(node.op, Conv)


def as_view_layer(graph: Graph, node: Node, channels: int | None) -> Node:
    """The convolution as a layer that sees its map by a view; one of more channels as a layer that does not."""
    x = graph.shapes[node.reads[0]]
    assert isinstance(node.op, Conv)
    wide = channels is not None and min(x.c, node.op.out_channels) > channels
    kind = MapConv if wide else view_layer(node.op, x)
    return node._replace(op=Rewritten(literal=node.op, text=with_module(layer_of(graph, node), kind)))


def view_layer(op: Conv, x: Shape) -> type[MapConv]:
    """The layer that sees as few axes as the window has."""
    along = op.along(x)
    if not along[0]:
        return FrameConv
    return MapConv if along[1] or along[2] else ColumnConv


def with_module(text: Layer, kind: type[MapConv]) -> Layer:
    """The same constructor, another class."""
    needs = {FrameConv: (frames_of, clips_of, MapConv, FrameConv), ColumnConv: (columns_of, MapConv, ColumnConv)}
    return replace(text, module=kind.__name__, needs=(*text.needs, *needs.get(kind, (MapConv,))))
