"""A convolution with the norm, the sum and the function behind it: run at once by `fusion`, one case for latency."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from archdsl.graph import Graph, Node
from archdsl.ops import Add, BatchNorm, Gelu, Hardsigmoid, Hardswish, Op, Relu, Relu6, Sigmoid, Silu, Tanh

POINTWISE_ACTS = (Relu, Relu6, Silu, Hardswish, Hardsigmoid, Sigmoid, Tanh, Gelu)
"""Functions of each element that one text says."""


@dataclass(frozen=True)
class ConvChain:
    """A convolution and the nodes after it that go with it."""

    conv: Node
    norm: Node | None = None
    sum: Node | None = None
    act: Node | None = None

    @property
    def nodes(self) -> list[Node]:
        """In order."""
        return [node for node in (self.conv, self.norm, self.sum, self.act) if node]


def chain_from(
    graph: Graph,
    readers: dict[str, list[Node]],
    conv: Node,
    taken: Container[str],
    meaning: Callable[[Op], Op] = lambda op: op,
) -> ConvChain:
    """The longest chain from a convolution: norm, sum, function, each the only reader of what comes before it.

    `taken` are addresses that other chains have; `meaning` gives the op of one that passes have written.
    """
    leaving, part, last = set(graph.outputs.values()), conv.address.rpartition(".")[0], conv

    def following(*kinds: type[Op]) -> Node | None:
        nonlocal last
        if last.address in leaving or len(readers[last.address]) != 1:
            return None
        (node,) = readers[last.address]
        here = node.address.rpartition(".")[0] == part and not node.tied and node.address not in taken
        two = len(node.reads) == 1 or len(set(node.reads)) == len(node.reads) == 2
        if not (here and two and type(meaning(node.op)) in kinds):
            return None
        last = node
        return node

    return ConvChain(conv, following(BatchNorm), following(Add), following(*POINTWISE_ACTS))
