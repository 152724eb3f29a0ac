"""The module tree of a graph: which scope calls which, in what order, with what going in and out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from archdsl.compiler.topological_order import topological_order
from archdsl.graph import Graph
from archdsl.ops import Source


@dataclass
class ModulePart:
    """One module: the network, a stage, a block. Its steps are ops (addresses of nodes) and parts."""

    address: str
    kind: str
    steps: list[str | ModulePart] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    """Values read from outside, in order of first use."""
    outputs: list[str] = field(default_factory=list)
    """Values that others read."""
    holds: list[str] = field(default_factory=list)
    """Containers within: modules that only hold others, such as a pathway."""

    @property
    def height(self) -> int:
        """How many levels of parts lie below."""
        return 1 + max((step.height for step in self.steps if isinstance(step, ModulePart)), default=-1)


def module_tree(graph: Graph) -> ModulePart:
    """The whole network as a tree of parts."""
    return ModuleTree(graph).part("")


@dataclass
class ModuleTree:
    """The children of every scope, and who reads what."""

    graph: Graph
    children: dict[str, dict[str, None]] = field(default_factory=dict)
    """Scope -> what lies directly in it, in order."""
    readers: dict[str, list[str]] = field(default_factory=dict)
    """Value -> the nodes that read it, or what shares its weights: the part of both is written once."""

    def __post_init__(self) -> None:
        self.turn = {address: i for i, address in enumerate(self.graph.nodes)}
        self.leaving = set(self.graph.outputs.values())
        for node in self.graph.nodes.values():
            if not isinstance(node.op, Source):
                self.place(node.address)
            for read in node.reads:
                self.readers.setdefault(read, []).append(node.address)
                owner = self.graph.nodes[read].tied
                if owner and owner.rpartition(".")[2] == read.rpartition(".")[2]:  # else a single op borrows weights
                    self.readers.setdefault(owner, []).append(node.tied or node.address)
        self.leaving |= {owner for owner in (self.graph.nodes[at].tied for at in self.leaving) if owner}

    def place(self, address: str) -> None:
        """A node into its scope, and that into the one around it."""
        while address:
            above = address.rpartition(".")[0]
            siblings = self.children.setdefault(above, {})
            if address in siblings:
                break
            siblings[address] = None
            address = above

    def part(self, address: str) -> ModulePart:
        """The part at an address, its steps in order."""
        scope = self.graph.scopes.get(address)
        part = ModulePart(address, scope.kind if scope else "Network")
        owner = {node: item for item in self.flat(address, part) for node in self.nodes_of(item)}
        nodes = sorted(owner, key=self.turn.__getitem__)
        for item in self.sorted(nodes, owner):
            part.steps.append(item if item in self.graph.nodes else self.part(item))
        reads = [read for node in nodes for read in self.graph.nodes[node].reads]
        part.inputs = list(dict.fromkeys(read for read in reads if read not in owner))
        part.outputs = [n for n in nodes if n in self.leaving or any(r not in owner for r in self.readers.get(n, ()))]
        return part

    def flat(self, address: str, part: ModulePart) -> list[str]:
        """The children of a scope, those of containers in place of the containers."""
        items = []
        for child in self.children.get(address, ()):
            if child not in self.graph.nodes and self.graph.scopes[child].container:
                part.holds.append(child)
                items += self.flat(child, part)
            else:
                items.append(child)
        return items

    def nodes_of(self, address: str) -> list[str]:
        """All nodes at or below an address."""
        if address in self.graph.nodes:
            return [address]
        return [node for child in self.children.get(address, ()) for node in self.nodes_of(child)]

    def sorted(self, nodes: list[str], owner: dict[str, str]) -> list[str]:
        """The items that own nodes, so that each comes after what it reads, else in the order of their first nodes."""
        needs: dict[str, set[str]] = {owner[node]: set() for node in nodes}
        for node in nodes:
            for read in self.graph.nodes[node].reads:
                if owner.get(read, owner[node]) != owner[node]:
                    needs[owner[node]].add(owner[read])
        return topological_order(needs)


def weight_owner(graph: Graph, part: ModulePart) -> str | None:
    """The address of the part whose weights this one shares, or None."""
    inner: ModulePart | str = part
    while isinstance(inner, ModulePart):
        inner = inner.steps[0]
    return tied_module(graph, part.address, inner)


def tied_module(graph: Graph, address: str, inner: str) -> str | None:
    """The address of the module whose weights one shares, as an op in it tells, or None."""
    tied = graph.nodes[inner].tied
    rest = inner.removeprefix(address)
    return tied.removesuffix(rest) if tied and tied.endswith(rest) else None


def constructed_modules(graph: Graph, addresses: Iterable[str]) -> list[str]:
    """Where the modules of these addresses are: those that share weights are the module that owns them. Each once."""
    inner = {address: next(op for op in graph.nodes if op.startswith(f"{address}.")) for address in addresses}
    return list(dict.fromkeys(tied_module(graph, *pair) or pair[0] for pair in inner.items()))
