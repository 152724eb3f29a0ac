"""What passes write: ops that run otherwise and mean the same, and a graph that knows the one it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from archdsl.compiler.causal import streams
from archdsl.compiler.keys import KeyFrameSchedule, held_values, schedule_of
from archdsl.errors import SpecError
from archdsl.graph import Graph, Node
from archdsl.graph.user_ops import method_line
from archdsl.ops import Op, Shape
from archdsl.ops.layer import Layer
from archdsl.report.lowering_policy import PassChoice


@dataclass(frozen=True, kw_only=True)
class Rewritten(Op):
    """An op that torch runs otherwise. What it means is still told by its literal op."""

    literal: Op
    text: Layer
    """What torch does now; without a call the op only keeps its weights at their address, for another to use."""
    uses: tuple[tuple[str, str], ...] = ()
    """Placeholder in the call -> address of the module it stands for."""

    def out(self, *xs: Shape) -> Shape:
        return self.literal.out(*xs)

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return self.literal.tensor(y)


@dataclass(frozen=True, kw_only=True)
class ChannelsLast(Op):
    """The map with its channels innermost in memory.  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class UserOp(Op):
    """An op of a person's own: passes leave it as it is, whatever it is made from."""

    op: Op

    def out(self, *xs: Shape) -> Shape:
        return self.op.out(*xs)

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return self.op.tensor(y)


@dataclass(frozen=True)
class LoweredGraph(Graph):
    """A graph after passes. `literal` is the graph of the plan."""

    literal: Graph = field(kw_only=True)


class Bound(NamedTuple):
    """A size up to which, or from which, a pass runs."""

    name: str
    side: Literal["up to", "from"]
    unit: str


class Pass(NamedTuple):
    """A lowering: a function Graph -> Graph under a name. Its docstring tells when it is exact and when it pays.

    One with a bound takes that as its second argument, and without it runs at every size.
    """

    name: str
    run: Callable[..., Graph]
    bound: Bound | None = None
    trains: bool = True
    """Whether training leaves the running statistics of every norm as the literal network would."""

    def within(self, graph: Graph, choice: PassChoice) -> Graph:
        """The graph after the pass, within the bound that is chosen."""
        return self.run(graph, *choice.values()) if isinstance(choice, Mapping) else self.run(graph)

    def bound_text(self, choice: PassChoice) -> str:
        """The bound that is chosen, in words."""
        if self.bound is None or not isinstance(choice, Mapping):
            return ""
        return f" {self.bound.side} {choice[self.bound.name]} {self.bound.unit}"

    @property
    def about(self) -> str:
        """The docstring, in one paragraph."""
        return " ".join((self.run.__doc__ or "").split())


def literal_op(op: Op) -> Op:
    """The op as the plan has it."""
    return op.literal if isinstance(op, Rewritten) else op


def layer_of(graph: Graph, node: Node) -> Layer:
    """What torch does for a node that no pass has absorbed. Raises SpecError where its op does not say so."""
    if isinstance(node.op, ChannelsLast):
        return Layer("{0}.contiguous(memory_format=torch.channels_last_3d)")
    if isinstance(node.op, Rewritten):
        return node.op.text
    try:
        return node.op.torch(*[graph.shapes[x] for x in node.reads])
    except SpecError as error:
        raise error.placed(node.address, method_line(node.op)) from None


def literal_graph(graph: Graph) -> Graph:
    """The graph as the plan has it."""
    return graph.literal if isinstance(graph, LoweredGraph) else graph


def takes_pieces(graph: Graph) -> bool:
    """Whether a clip may come in pieces, as the literal graph tells."""
    return streams(literal_graph(graph))


def programs_of(graph: Graph) -> KeyFrameSchedule | None:
    """The two programs of key frames, as the literal graph tells; what passes put in runs with what it reads.

    No pass mixes the programs: but for HoldKeys, which `warps` gives to its Warp, and Interleave, which stays,
    ops read maps of one kind of frames and give that kind: neither equal ops nor chains of them run at different times.
    """
    schedule = schedule_of(literal_graph(graph))
    if schedule is None:
        return None
    kinds = dict(schedule.kinds)
    for address, node in graph.nodes.items():
        if address not in kinds:
            kinds[address] = kinds[node.reads[0]]
    return replace(schedule, kinds=kinds, held=held_values(graph, kinds))


def with_nodes(graph: Graph, nodes: dict[str, Node]) -> Graph:
    """The graph with some nodes written anew; their shapes stay."""
    return replace(graph, nodes={**graph.nodes, **nodes})


def user_ops_closed(graph: Graph) -> Graph:
    """The graph with ops of a person's own out of every pass's reach. Maps come to them as in the literal network."""
    new = {}
    for node in graph.nodes.values():
        if node.op.own:
            text = layer_of(graph, node)
            maps = [f"{{{i}}}.contiguous()" for i in range(len(node.reads))]
            op = Rewritten(literal=UserOp(op=node.op), text=replace(text, call=text.call.format(*maps, m="{m}")))
            new[node.address] = node._replace(op=op)
    return with_nodes(graph, new) if new else graph


def weights_only(graph: Graph, node: Node) -> Node:
    """The node as a keeper of its weights."""
    text = replace(layer_of(graph, node), call="")
    return node._replace(op=Rewritten(literal=literal_op(node.op), text=text), reads=())
