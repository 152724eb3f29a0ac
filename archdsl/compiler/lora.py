"""Low-rank terms put beside the linear layers of a graph (LoRA, arXiv:2106.09685)."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from archdsl import ops
from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.graph import Graph, Node, Scope
from archdsl.language.lora import Lora
from archdsl.ops import Op

PART = "lora"
"""The name behind that of a linear layer under which its term lies."""


def with_low_rank(graph: Graph, lora: Lora) -> Graph:
    """The graph whose matching linear layers have a term beside them: what read a layer reads the sum.

    Raises SpecError for a pattern that matches no linear layer.
    """
    linears = [address for address, node in graph.nodes.items() if isinstance(node.op, ops.Linear)]
    if idle := [pattern for pattern in lora.at if not any(fnmatchcase(at, pattern) for at in linears)]:
        raise SpecError(no_layer(pattern, lora, linears) for pattern in idle)
    chosen = {address for address in linears if any(fnmatchcase(address, pattern) for pattern in lora.at)}
    made = LowRank(graph, lora)
    for address, node in graph.nodes.items():
        reads = tuple(made.stands_for.get(read, read) for read in node.reads)
        made.put(node._replace(reads=reads), graph.shapes[address], graph.grids[address])
        if address in chosen:
            made.stands_for[address] = made.term(made.nodes[address])
    outputs = {name: made.stands_for.get(value, value) for name, value in graph.outputs.items()}
    parts = dict(nodes=made.nodes, shapes=made.shapes, grids=made.grids, scopes=made.scopes, outputs=outputs)
    return replace(graph, **parts)  # type: ignore[arg-type]


def no_layer(pattern: str, lora: Lora, linears: list[str]) -> Fault:
    """The fault of a pattern that matches nothing."""
    near = did_you_mean(pattern, linears) or (f"at: ['*.{linears[0].rpartition('.')[2]}']" if linears else None)
    want = f"an address with * and ?, such as {linears[0]}" if linears else "a network with linear layers"
    what = f"lora at no linear layer: {pattern!r}"
    return Fault(what=what, at="lora.at", written=lora.written, got=pattern, want=want, fix=near)


class LowRank:
    """What is written of a graph with low-rank terms."""

    def __init__(self, graph: Graph, lora: Lora) -> None:
        self.graph, self.lora = graph, lora
        self.nodes, self.shapes, self.grids = dict[str, Node](), dict(graph.shapes), dict(graph.grids)
        self.scopes = dict(graph.scopes)
        self.stands_for: dict[str, str] = {}
        """Linear layer -> its sum with the term."""

    def put(self, node: Node, shape: ops.Shape, grid: ops.Grid) -> str:
        """One node as it is."""
        self.nodes[node.address], self.shapes[node.address], self.grids[node.address] = node, shape, grid
        return node.address

    def add(self, like: Node, name: str, op: Op, *reads: str) -> str:
        """One op beside a linear layer, its weights shared where the layer's are."""
        shapes = [self.shapes[read] for read in reads]
        tied = f"{like.tied}_{name}" if like.tied else None
        node = Node(f"{like.address}_{name}", op, reads, like.written, tied)
        return self.put(node, op.out(*shapes), op.place(tuple(shapes), tuple(self.grids[read] for read in reads)))

    def term(self, linear: Node) -> str:
        """The term of a layer, and its sum with what the layer gives."""
        part, channels = f"{linear.address}_{PART}", self.shapes[linear.address].c
        self.scopes[part] = Scope("Lora")
        down = ops.Linear(out_features=self.lora.rank, bias=False, init="default")
        y = self.add(linear, f"{PART}.down", down, linear.reads[0])
        y = self.add(linear, f"{PART}.up", ops.Linear(out_features=channels, bias=False, init="zeros"), y)
        if self.lora.scale != 1:
            y = self.add(linear, f"{PART}.scale", ops.Affine(scale=self.lora.scale), y)
        return self.add(linear, f"{PART}_sum", ops.Add(), linear.address, y)
