"""Causal networks: written out so that no frame sees a later one, and whether a clip may come in pieces."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder, Graph, Node
from archdsl.ops import Op, key_of


@dataclass
class CausalBuilder(Builder):
    """Writes, for every op that sees later frames, those that see the past only."""

    summed_up: set[str] = field(default_factory=set)
    """Values that stand for all frames so far: what reads them has no frames to keep apart."""

    def add(self, name: str, op: Op, *reads: str) -> str:
        if UNKNOWN in reads:
            return super().add(name, op, *reads)
        ended = [read in self.summed_up for read in reads]
        if not reads or all(ended):
            return self.put(name, op, reads)
        try:
            if any(ended):
                what, want = "all frames so far, merged with each frame", "a mean over time that keeps its frames"
                raise SpecError(what, got=type(op).__name__, want=want)
            *before, last = op.causal(*(self.shapes[read] for read in reads))
        except SpecError as error:
            self.faults.extend(error.placed(f"{self.path}.{name}", self.line).faults)
            return UNKNOWN
        for one in before:
            reads = (self.put(f"{name}_{key_of(type(one))}", one, reads),)
        return self.put(name, last, reads)

    def put(self, name: str, op: Op, reads: tuple[str, ...]) -> str:
        """One op as it is."""
        y = super().add(name, op, *reads)
        if y != UNKNOWN and reads and (op.newest or all(read in self.summed_up for read in reads)):
            self.summed_up.add(y)
        return y


def choice(graph: Graph) -> Op | None:
    """Which of a clip's frames all that reads it takes; None where that is all of them, or not one choice."""
    (source, *others) = (address for address, node in graph.nodes.items() if not node.reads)
    first, *rest = (node.op for node in graph.nodes.values() if source in node.reads)
    chosen = first.chooses == "frames" and all(op == first for op in rest)
    return first if chosen and not others else None


def streams(graph: Graph) -> bool:
    """Whether a clip may come in pieces: something is held between them, and all else takes each frame by itself.

    Pieces are of those frames that the clip's one choice leaves: a stream has no end to choose by.
    """
    chosen = choice(graph)
    nodes = [node for node in graph.nodes.values() if node.reads]
    if len(graph.outputs) != 1:
        return False
    nodes = [node for node in nodes if not (chosen and not graph.nodes[node.reads[0]].reads)]
    if any(node.op.stateful and node.tied for node in nodes):
        return False  # one module would hold the past of two places
    summed_up: set[str] = set()
    for node in nodes:
        if node.op.newest or all(read in summed_up for read in node.reads):
            summed_up.add(node.address)
        elif not one_by_one(graph, node):
            return False
    return any(node.op.stateful for node in nodes)


def one_by_one(graph: Graph, node: Node) -> bool:
    """Whether an op gives a frame for each that comes, from it and from what is held of those before."""
    op, read = node.op, node.reads[0]
    return (op.stateful and op.in_order) or op.each_frame or op.continues(graph.nodes[read].op, graph.shapes[read])


def held(graph: Graph) -> int:
    """Numbers that a stream of one clip holds from frame to frame, counts of frames apart."""
    nodes = graph.nodes.values()
    return sum(node.op.held(graph.shapes[node.reads[0]]) for node in nodes if node.op.stateful)
