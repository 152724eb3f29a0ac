"""The frames of each clip that a network reads, and its graph for clips of these frames alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from archdsl.graph import Graph, Node
from archdsl.ops import Op, Shape, Source
from archdsl.ops.autograd import NOTHING, RESHAPED, Keeps
from archdsl.ops.layer import Layer
from archdsl.ops.receptive_field import Seen


@dataclass(frozen=True, kw_only=True)
class TakeFrames(Op):
    """A choice of frames, of a clip that has only some of them.  (c, t, h, w) -> (c, len(places), h, w)"""

    chooses = "frames"
    causality = "past"
    places: tuple[int, ...]
    """Positions in the shorter clip."""
    literal: Op
    """The choice from the whole clip."""

    def out(self, *xs: Shape) -> Shape:
        return xs[0]._replace(t=len(self.places))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(seen[0][i] for i in self.places)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Frames at one distance are a view."""
        return RESHAPED if distance(self.places) else NOTHING

    def label(self, x: Shape, y: Shape) -> str:
        return self.literal.label(x, y)

    def row(self, x: Shape | None = None) -> str:
        return self.literal.row(x)

    def torch(self, *xs: Shape) -> Layer:
        step = distance(self.places)
        if not step:
            return Layer(f"{{0}}[:, :, {list(self.places)}]")
        first, last = self.places[0], self.places[-1]
        if (step, first, last + 1) == (1, 0, xs[0].t):
            return Layer("{0}")
        return Layer(f"{{0}}[:, :, {first}:{last + 1}:{step}]")


def distance(places: tuple[int, ...]) -> int:
    """The distance between neighbours; 0 where these differ, or do not rise."""
    steps = {b - a for a, b in pairwise(places)} or {1}
    return max(steps.pop(), 0) if len(steps) == 1 else 0


def frames_read(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Clip, or choice of its frames -> the frames that something reads, in order."""
    read: dict[str, set[int]] = {address: set() for address in graph.nodes}
    for address in graph.outputs.values():
        read[address].update(range(graph.shapes[address].t))
    found = {}
    for address, node in reversed(graph.nodes.items()):
        chosen = chosen_frames(graph, node)
        if chosen or not node.reads:
            found[address] = tuple(sorted(read[address])) or tuple(range(graph.shapes[address].t))
        for source in node.reads:
            read[source].update([chosen[i] for i in found[address]] if chosen else range(graph.shapes[source].t))
    return found


def chosen_frames(graph: Graph, node: Node) -> tuple[int, ...]:
    """Of a choice of frames, the frame of its source that each element is; nothing for other ops.

    An op of one's own may do more than choose.
    """
    if node.op.chooses != "frames" or node.op.own:
        return ()
    x = graph.shapes[node.reads[0]]
    bits = tuple(1 << i for i in range(x.t))
    return tuple(seen.bit_length() - 1 for seen in node.op.sees((x,), (bits,), graph.shapes[node.address]))


def graph_of_frames_read(graph: Graph, read: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph whose clips have only the frames that are read; weights and results are the same."""
    nodes, shapes = {}, {}
    for address, frames in read.items():
        node = graph.nodes[address]
        shapes[address] = graph.shapes[address]._replace(t=len(frames))
        if isinstance(node.op, Source):
            nodes[address] = node._replace(op=replace(node.op, shape=shapes[address]))
            continue
        chosen, source = chosen_frames(graph, node), node.reads[0]
        before = {frame: place for place, frame in enumerate(read.get(source, range(graph.shapes[source].t)))}
        places = tuple(before[chosen[i]] for i in frames)
        nodes[address] = node._replace(op=TakeFrames(places=places, literal=node.op))
    return replace(graph, nodes={**graph.nodes, **nodes}, shapes={**graph.shapes, **shapes})
