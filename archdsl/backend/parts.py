"""The module tree of a graph: which scope calls which, in what order, with what going in and out."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.graph import Graph
from archdsl.ops import Source


@dataclass
class Part:
    """One module: the network, a stage, a block. Its steps are ops (addresses of nodes) and parts."""

    address: str
    kind: str
    steps: list[str | Part] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    """Values read from outside, in order of first use."""
    outputs: list[str] = field(default_factory=list)
    """Values that others read."""
    holds: list[str] = field(default_factory=list)
    """Containers within: modules that only hold others, such as a pathway."""

    @property
    def height(self) -> int:
        """How many levels of parts lie below."""
        return 1 + max((step.height for step in self.steps if isinstance(step, Part)), default=-1)


def network_of(graph: Graph) -> Part:
    """The whole network as a tree of parts."""
    children: dict[str, list[str]] = {}
    for address in [a for a, node in graph.nodes.items() if not isinstance(node.op, Source)]:
        while address:
            above = address.rpartition(".")[0]
            siblings = children.setdefault(above, [])
            if address in siblings:
                break
            siblings.append(address)
            address = above
    readers: dict[str, list[str]] = {}
    for node in graph.nodes.values():
        for read in node.reads:
            readers.setdefault(read, []).append(node.address)
    return Tree(graph, children, readers).part("")


@dataclass
class Tree:
    """The children of every scope, and who reads what."""

    graph: Graph
    children: dict[str, list[str]]
    readers: dict[str, list[str]]

    def part(self, address: str) -> Part:
        """The part at an address, its steps in order."""
        scope = self.graph.scopes.get(address)
        part = Part(address, scope.kind if scope else "Network")
        items = self.flat(address, part)
        members = {item: set(self.nodes_of(item)) for item in items}
        owner = {node: item for item, nodes in members.items() for node in nodes}
        for item in self.sorted(items, members, owner):
            part.steps.append(item if item in self.graph.nodes else self.part(item))
        inside = set(owner)
        reads = [read for node in self.graph.nodes if node in inside for read in self.graph.nodes[node].reads]
        part.inputs = list(dict.fromkeys(read for read in reads if read not in inside))
        leaving = set(self.graph.outputs.values())
        part.outputs = [
            n
            for n in self.graph.nodes
            if n in inside and (n in leaving or any(r not in inside for r in self.readers.get(n, [])))
        ]
        return part

    def flat(self, address: str, part: Part) -> list[str]:
        """The children of a scope, those of containers in place of the containers."""
        items = []
        for child in self.children.get(address, []):
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
        return [node for child in self.children.get(address, []) for node in self.nodes_of(child)]

    def sorted(self, items: list[str], members: dict[str, set[str]], owner: dict[str, str]) -> list[str]:
        """Items so that each comes after what it reads, else as the graph has them."""
        order = {node: i for i, node in enumerate(self.graph.nodes)}
        waiting = sorted(items, key=lambda item: min(order[node] for node in members[item]))
        needs = {
            item: {owner[r] for n in members[item] for r in self.graph.nodes[n].reads if r in owner} - {item}
            for item in items
        }
        done: list[str] = []
        while waiting:
            ready = next((item for item in waiting if needs[item] <= set(done)), None)
            assert ready is not None, f"parts that wait for each other: {waiting}"
            waiting.remove(ready)
            done.append(ready)
        return done


def shared_with(graph: Graph, part: Part) -> str | None:
    """The address of the part whose weights this one shares, or None."""
    nodes = [node for address, node in graph.nodes.items() if address.startswith(f"{part.address}.")]
    if not nodes or not nodes[0].tied:
        return None
    rest = nodes[0].address.removeprefix(part.address)
    return nodes[0].tied.removesuffix(rest)
