"""What is allowed and probably not meant: parts that no output is made from, weights that no gradient reaches."""

from __future__ import annotations

from collections.abc import Container, Iterator

from archdsl.blocks.names import CASTS
from archdsl.errors import Fault
from archdsl.graph import Graph, Node, ancestors
from archdsl.ops import Cost


def unread(graph: Graph) -> Iterator[Fault]:
    """What no output is made from, each part reported as a whole. Its weights would never learn."""
    for at, inner in wholes(graph, ancestors(graph, *graph.outputs.values())):
        clip = not inner[0].reads
        want = "a pathway that reads it" if clip else "a head, an edge or an op that reads it"
        yield Fault(what="a part that no output depends on", at=at, written=inner[0].written, want=want)


def unlearnt(graph: Graph) -> Iterator[Fault]:
    """Weights of what outputs are made from that no gradient of an output reaches."""
    alive, reached = ancestors(graph, *graph.outputs.values()), learning(graph)
    what = "weights that no gradient reaches"
    for at, inner in wholes(graph, reached | (graph.nodes.keys() - alive)):
        if params := sum(cost_of(graph, node).params for node in inner if not node.tied):
            got, want = f"{params:,} parameters", "an op that is differentiated between them and an output"
            yield Fault(what=what, at=at, written=inner[0].written, got=got, want=want)
    nodes = [graph.nodes[address] for address in graph.nodes if address in reached]
    if later := [node.address for node in nodes if node.op.of_clips]:
        got, want = f"{len(later)} ops that remember clips", "further clips of a video: network.step"
        yield Fault(what="weights that a clip by itself does not train", at=later[0], got=got, want=want)
    for node in nodes:
        if not node.op.of_clips and (names := node.op.unlearnt(*[graph.shapes[read] for read in node.reads])):
            yield Fault(what=what, at=node.address, written=node.written, got=", ".join(names))
    if not any(cost_of(graph, graph.nodes[address]).params for address in graph.nodes if address in reached):
        at = next(iter(graph.outputs.values()))
        what, got = "a network without weights to learn", "no parameter that a gradient reaches"
        yield Fault(what=what, at=at, written=graph.nodes[at].written, got=got, want="at least one, to be trained")


def trained_later(graph: Graph) -> set[str]:
    """Names of the weights that further clips of a video train: one by itself leaves them alone."""
    nodes = [node for node in graph.nodes.values() if node.op.of_clips and not node.tied]
    names = [(node.address, node.op.unlearnt(*[graph.shapes[read] for read in node.reads])) for node in nodes]
    return {f"{address}.{name}" for address, own in names for name in own}


def shadowed(graph: Graph) -> Iterator[Fault]:
    """Parts named as methods of torch's modules: torch's own copies of a network find the methods instead."""
    written = {address: node.written for address, node in graph.nodes.items()}
    for address in (*graph.scopes, *graph.nodes):
        if (name := address.rpartition(".")[2]) in CASTS and "." in address:
            what, want = "a part named as a method of torch's modules", "another name, to export or trace the network"
            yield Fault(what=what, at=address, written=written.get(address), got=name, want=want)


def learning(graph: Graph) -> set[str]:
    """Every value that a gradient of an output reaches, the outputs among them."""
    reached, waiting = set[str](), [*graph.outputs.values()]
    while waiting:
        address = waiting.pop()
        if address not in reached:
            reached.add(address)
            node = graph.nodes[address]
            passed = node.op.gradients(*[graph.shapes[read] for read in node.reads])
            waiting += [read for read, through in zip(node.reads, passed, strict=True) if through]
    return reached


def cost_of(graph: Graph, node: Node) -> Cost:
    """What a node costs for one clip."""
    return node.op.cost(*[graph.shapes[read] for read in node.reads])


def wholes(graph: Graph, others: Container[str]) -> Iterator[tuple[str, list[Node]]]:
    """The largest parts none of whose nodes are among others, with their nodes; a node by itself where its part has."""
    under: dict[str, list[Node]] = {}
    mixed = set[str]()
    for address, node in graph.nodes.items():
        parts = address.split(".")
        above = [".".join(parts[: i + 1]) for i in range(len(parts))]
        if address in others:
            mixed.update(above)
        for at in above:
            under.setdefault(at, []).append(node)
    for at, inner in under.items():
        parent = at.rpartition(".")[0]
        if at not in mixed and (not parent or parent in mixed):
            yield at, inner
