"""Causal networks: written out so that no frame sees a later one, and whether a clip may come in pieces."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder, Graph, Node
from archdsl.graph.user_ops import answer
from archdsl.ops import Op, key_of

METHODS = frozenset(["step", "streaming", "key_frame", "current_frame"])
"""Names that a network which takes clips in pieces has for itself: one with such a pathway takes whole clips."""


@dataclass
class CausalBuilder(Builder):
    """Writes, for every op that sees later frames, those that see the past only."""

    summed_up: set[str] = field(default_factory=set)
    """Values that stand for all frames so far: what reads them has no frames to keep apart."""

    def add(self, name: str, op: Op, *reads: str) -> str:
        if any(read not in self.shapes for read in reads):
            return super().add(name, op, *reads)
        ended = [read in self.summed_up for read in reads]
        if not reads or all(ended):
            return self.put(name, op, reads)
        try:
            if any(ended):
                what, want = "all frames so far, merged with each frame", "a mean over time that keeps its frames"
                raise SpecError(what, got=type(op).__name__, want=want)
            xs = (self.shapes[read] for read in reads)
            *before, last = answer(op, "causal", tuple, *xs) if op.own else op.causal(*xs)
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


def of_clips(graph: Graph) -> bool:
    """Whether a stream comes in whole clips: what is held is what they leave to the next."""
    return any(node.op.of_clips for node in graph.nodes.values())


def choice(graph: Graph) -> Op | None:
    """Which of a clip's frames all that reads it takes; None where that is all of them, or not one choice."""
    (source, *others) = (address for address, node in graph.nodes.items() if not node.reads)
    taken = [node.op for node in graph.nodes.values() if source in node.reads]
    if others or not taken or any(op != taken[0] for op in taken):
        return None
    return taken[0] if taken[0].chooses == "frames" else None


def streams(graph: Graph) -> bool:
    """Whether a clip may come in pieces: something is held between them, and all else takes each frame by itself.

    Pieces are of those frames that the clip's one choice leaves: a stream has no end to choose by.
    """
    return obstacle(graph) is None


def obstacle(graph: Graph) -> str | None:
    """Why a clip cannot come in pieces; None where it can."""
    clips = [address for address, node in graph.nodes.items() if not node.reads]
    if not any(node.op.stateful for node in graph.nodes.values()):
        return "it holds nothing from frame to frame"
    if len(graph.outputs) != 1:
        return "it has several outputs"
    if named := graph.scopes.keys() & METHODS:
        return f"a pathway is named {min(named)}"
    if of_clips(graph):
        return memory_obstacle(graph)
    if len({graph.shapes[clip].t for clip in clips}) != 1:
        return "its clips differ in their number of frames"
    chosen, summed_up = choice(graph), set[str]()
    frames = chosen.out(graph.shapes[clips[0]]).t if chosen else graph.shapes[clips[0]].t
    for node in graph.nodes.values():
        if not node.reads or (chosen and node.reads[0] in clips):
            continue
        ended = [read in summed_up for read in node.reads]
        if problem := op_obstacle(graph, node, ended, frames):
            return f"{node.address} {problem}"
        if node.op.newest or all(ended):
            summed_up.add(node.address)
    (end,) = graph.outputs.values()
    return None if end in summed_up or graph.shapes[end].t == frames else f"{end} gives frames of the past too"


def memory_obstacle(graph: Graph) -> str | None:
    """Why a network that remembers clips cannot take one after the other; None where it can."""
    held = [node for node in graph.nodes.values() if node.op.stateful]
    if frames := next((node.address for node in held if not node.op.of_clips), None):
        return f"{frames} holds frames where others remember clips"
    tied = next((node.address for node in held if node.tied), None)
    return f"{tied} would hold the past of two places" if tied else None


def op_obstacle(graph: Graph, node: Node, ended: list[bool], frames: int) -> str | None:
    """What an op does that pieces of a clip cannot give; `ended` tells which of its reads stand for all frames."""
    op, read = node.op, node.reads[0]
    if op.stateful and node.tied:
        return "would hold the past of two places"
    if any(ended) and not all(ended):
        return "merges all frames so far with each frame"
    if all(ended):
        return "holds a state behind the last frame" if op.stateful else None
    if op.newest or op.continues(graph.nodes[read].op, graph.shapes[read]):
        return None
    if any(graph.shapes[read].t != frames for read in node.reads):
        return "reads frames of the past beside a clip's own"
    return None if op.each_frame or (op.stateful and op.in_order) else "does not take each frame by itself"


def stream_state_size(graph: Graph) -> int:
    """Numbers that a stream of one clip holds from frame to frame, counts of frames apart."""
    nodes = graph.nodes.values()
    return sum(node.op.held(*[graph.shapes[read] for read in node.reads]) for node in nodes if node.op.stateful)
