"""Convolutions whose window has one frame or one pixel, as 2-D ones over a view."""

from __future__ import annotations

from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, layer_of, with_nodes
from archdsl.backend.runtime.convolution.conv import (
    ColumnConv,
    Columns,
    FrameConv,
    MapConv,
    clips_of,
    columns_of,
    few_images,
    frames_of,
    map_of_columns,
    map_rows,
    tap_grad,
)
from archdsl.graph import Graph, Node
from archdsl.ops import Conv, Shape
from archdsl.ops.layer import Layer


def views(graph: Graph, channels: int | None = None) -> Graph:
    """Run 1 x k x k convolutions over frames as images, k x 1 x 1 ones over columns: views, no copies.

    By name all of them; with a bound those that read or write up to so many channels. Exact on channels-last maps,
    elsewhere with a copy; along time the gradient of a wide weight is summed frame by frame of the window. Pays on
    CPUs: 1.3 to 1.9 times for k x 1 x 1, 3 to 5 times for up to 64 channels (a Fast pathway's convolutions, stems,
    res2), for which oneDNN's 3-D convolution is slow unless its weight is packed; for wider 1 x k x k ones it is level
    with a channels-last 3-D convolution. In training up to 2.7 times for those of 64 channels, for wider ones 1.2
    times along time, 1.3 for 1 x 1 x 1 of stride 2, else level in two threads; in one thread 2 times for wide
    1 x 1 x 1 and 3 times along time, for which torch 2.13 does not ask oneDNN then.
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
    images = frames_of, map_rows, few_images
    needs = {
        FrameConv: (*images, clips_of, MapConv, FrameConv),
        ColumnConv: (*images, columns_of, map_of_columns, MapConv, tap_grad, Columns, ColumnConv),
    }
    return replace(text, module=kind.__name__, needs=(*text.needs, *needs.get(kind, (MapConv,))))
