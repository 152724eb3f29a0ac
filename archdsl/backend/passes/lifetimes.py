"""Ops after which torch gives a map that is channels-last no more, or copies one more often than it must."""

from __future__ import annotations

from dataclasses import replace

from archdsl.backend.passes.base import Rewritten, layer_of, weights_only, with_nodes
from archdsl.backend.runtime.convolution.conv import clips_of, frames_of
from archdsl.backend.runtime.flows.motion import earlier, later, time_shift
from archdsl.backend.runtime.keys import held_warp, pointed_to
from archdsl.backend.runtime.move import frames_averaged, shifted, shuffled
from archdsl.graph import Graph, Node, readers_of
from archdsl.ops import AvgPool, ChannelShuffle, HoldKeys, TimeShift, Warp
from archdsl.ops.layer import Layer


def frame_means(graph: Graph) -> Graph:
    """Run average pools of 1 x k x k windows over frames as images.

    Exact. Pays on CPUs, where torch 2.13 has no 3-D average pool of channels-last maps, copies them, and gives a map
    that is channels-last no more: 4 to 30 times for the pool, 1.2 times for inception_v3 and 1.3 for nasnet_a_mobile;
    in training 2 to 12 times for the pool, 1.05 for inception_v3. Max pools it has: as images they are level.
    """
    return with_nodes(
        graph, {n.address: as_frame_pool(graph, n) for n in graph.nodes.values() if pools_single_frames(graph, n)}
    )


def shuffles(graph: Graph) -> Graph:
    """Shuffle channels where they lie, innermost.

    Exact. Pays on CPUs, where what the literal shuffle gives is channels-last no more: with `frame_means` 1.3 times for
    shufflenet_v1_x1_0_g3 and 1.2 in training; level for shufflenet_v2_x1_0.
    """
    shuffling = [(node, node.op) for node in graph.nodes.values() if isinstance(node.op, ChannelShuffle)]
    texts = {node: Layer(f"shuffled({{0}}, {op.groups})", needs=(shuffled,)) for node, op in shuffling}
    return with_nodes(graph, {n.address: n._replace(op=Rewritten(literal=n.op, text=t)) for n, t in texts.items()})


def shifts(graph: Graph) -> Graph:
    """Without gradients, put each channel of a temporal shift where it goes, with nothing padded before.

    Exact; with gradients the shift is the literal one. Pays for inference on CPUs: 1.2 to 1.6 times for the shift,
    which is a fiftieth of tsm_r50; written so, it would lose a third in training.
    """
    shifting = [(node, node.op) for node in graph.nodes.values() if isinstance(node.op, TimeShift)]
    needs = (later, earlier, time_shift, shifted)
    texts = {node: Layer(f"shifted({{0}}, {op.share})", needs=needs) for node, op in shifting if not op.past_only}
    return with_nodes(graph, {n.address: n._replace(op=Rewritten(literal=n.op, text=t)) for n, t in texts.items()})


def warps(graph: Graph) -> Graph:
    """Read a map where flow points all channels of a place at once; of key frames no copy is made for each frame.

    Exact to rounding. Pays on CPUs, where torch 2.13 warps channel by channel and what it gives is channels-last no
    more: 6 to 12 times for the warp with its copies, 1.25 for a frame of dff_r101_rfcn between key frames; in training
    5 to 10 times for the warp.
    """
    readers, new = readers_of(graph), dict[str, Node]()
    text = Layer("held_warp({0}, {1})", needs=(pointed_to, held_warp))
    for node in graph.nodes.values():
        if not isinstance(node.op, Warp):
            continue
        reads, hold = node.reads, graph.nodes[node.reads[0]]
        if isinstance(hold.op, HoldKeys) and readers[hold.address] == [node]:
            new[hold.address] = weights_only(graph, hold)
            reads = (hold.reads[0], reads[1])
        new[node.address] = node._replace(op=Rewritten(literal=node.op, text=text), reads=reads)
    return with_nodes(graph, new)


def pools_single_frames(graph: Graph, node: Node) -> bool:
    """Whether a node is an average pool whose windows have one frame, every frame once."""
    if not isinstance(node.op, AvgPool):
        return False
    x = graph.shapes[node.reads[0]]
    return node.op.window(x)[0] == node.op.stride[0] == 1 and node.op.pads(x)[0] == (0, 0)


def as_frame_pool(graph: Graph, node: Node) -> Node:
    """The same call of another function."""
    text = layer_of(graph, node)
    call = text.call.replace("F.avg_pool3d(", "frames_averaged(")
    new = replace(text, call=call, needs=(frames_of, clips_of, frames_averaged))
    return node._replace(op=Rewritten(literal=node.op, text=new))
