"""A network that gives values from its inside: those of ops, blocks and stages, by their addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from archdsl.compiler.plan import Plan
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.graph import Graph, Node, ancestors
from archdsl.ops import Source, TakeMap

HEAD = "head."
"""How addresses of the head begin."""


def plan_of_values(plan: Plan, at: Sequence[str], *, beside: bool = False) -> Plan:
    """The plan whose outputs are values at addresses, by these; what they do not need is left out.

    A stage or a block gives what its last op gives. Of a map with tokens beside it the map is given, or both with
    `beside`. Raises SpecError for addresses that there are not.
    """
    graph = plan.graph
    check_addresses(plan, at)
    outputs, taken = {}, dict[str, Node]()
    for name in at:
        value = value_at(plan, name)
        if graph.shapes[value].extra and graph.shapes[value].t and not beside:
            address = free_name(graph, len(taken))
            taken[address] = Node(address, TakeMap(), (value,))
            value = address
        outputs[name] = value
    return Plan(plan.arch, pruned(with_maps(graph, taken), outputs))


def values_of_head(plan: Plan) -> tuple[str, ...]:
    """The addresses of what the head reads: the ends of the network without it."""
    clips = plan.arch.clips
    reads = [read for node in plan.nodes if node.address.startswith(HEAD) for read in node.reads]
    return tuple(dict.fromkeys(read for read in reads if not read.startswith(HEAD) and read not in clips))


def value_at(plan: Plan, address: str) -> str:
    """The address of the op whose result stands at an address."""
    return address if address in plan.graph.nodes else plan.within[address][-1]


def check_addresses(plan: Plan, at: Sequence[str]) -> None:
    """Raises SpecError for no address, for one that there is not, and for one that is there twice."""
    known = [address for address in plan.shapes if address not in plan.arch.clips]
    stages = [address for address in plan.scopes if address.count(".") == 1 and not address.startswith(HEAD)]
    faults = [
        Fault(what=f"no value at {name!r}", got=name, want=listed(stages, "an address of `archdsl table --level op`"))
        if name not in known
        else Fault(what=f"two values at {name!r}", got=", ".join(at), want="each address once")
        for i, name in enumerate(at)
        if name not in known or name in at[:i]
    ]
    faults = [replace(one, fix=did_you_mean(one.got or "", known)) if "no value" in one.what else one for one in faults]
    if not at:
        faults = [Fault(what="no address", got="none", want=listed(stages, "such as a stage's"))]
    if faults:
        raise SpecError(faults)


def free_name(graph: Graph, number: int) -> str:
    """An address that the graph does not have."""
    name = f"map_of_tokens_{number}"
    while name in graph.nodes or name in graph.scopes:
        name += "_"
    return name


def with_maps(graph: Graph, taken: dict[str, Node]) -> Graph:
    """The graph with maps taken of values with tokens beside them."""
    reads = {address: node.reads[0] for address, node in taken.items()}
    shapes = {address: node.op.out(graph.shapes[reads[address]]) for address, node in taken.items()}
    grids = {address: graph.grids[read] for address, read in reads.items()}
    return replace(
        graph, nodes={**graph.nodes, **taken}, shapes={**graph.shapes, **shapes}, grids={**graph.grids, **grids}
    )


def pruned(graph: Graph, outputs: dict[str, str]) -> Graph:
    """The graph of what outputs are made from; clips and the owners of shared weights stay."""
    kept = ancestors(graph, *outputs.values())
    while owners := {*owners_of(graph, kept)} - kept:
        kept |= ancestors(graph, *owners)
    nodes = {address: node for address, node in graph.nodes.items() if address in kept or isinstance(node.op, Source)}
    inside = {prefix for address in nodes for prefix in addresses_above(address)}
    return replace(
        graph,
        nodes=nodes,
        shapes={address: graph.shapes[address] for address in nodes},
        grids={address: graph.grids[address] for address in nodes},
        scopes={address: scope for address, scope in graph.scopes.items() if address in inside},
        outputs=outputs,
        warnings=(),
    )


def owners_of(graph: Graph, addresses: set[str]) -> Iterator[str]:
    """The ops whose weights some of these share."""
    for address in addresses:
        if tied := graph.nodes[address].tied:
            yield tied


def addresses_above(address: str) -> Iterator[str]:
    """The addresses above one, and the empty one of the network."""
    while address:
        address = address.rpartition(".")[0]
        yield address
