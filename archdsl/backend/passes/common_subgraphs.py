"""Equal branches once, dead ones never. Weights stay at their addresses."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from archdsl.backend.passes.base import layer_of, weights_only, with_nodes
from archdsl.compiler.module_tree import ModulePart, module_tree
from archdsl.graph import Graph, Node, ancestors
from archdsl.ops import BatchNorm, Conv, GroupNorm, LayerNorm, Linear, Source, TransposedConv

WEIGHTED = (Conv, TransposedConv, Linear, BatchNorm, GroupNorm, LayerNorm)
"""Ops that, out of training, give the same for the same if their weights are shared."""


def merge_branches(graph: Graph) -> Graph:
    """Compute once what several nodes compute alike, and never what no output is made from; weights stay.

    Exact, gradients to rounding; but norms left out take no running statistics in training, so it is for inference.
    Never merges chance (dropout) or streams; pathways that share weights are merged whole or not at all. Pays by what
    it finds: 1.06 times for nasnet_a_mobile, which applies functions and pools twice to one map; level for tal_net.
    """
    return without_dead(merge_equal(graph))


def merge_equal(graph: Graph) -> Graph:
    """The graph in which the first node of each value gives it to all readers."""
    order = list(execution_order(module_tree(graph)))
    same = merged_twins(graph, order)
    first: dict[object, str] = {}
    nodes = {address: node for address, node in graph.nodes.items() if isinstance(node.op, Source)}
    fixed = with_twins(graph, without=same)
    for address in order:
        node = graph.nodes[address]
        node = node._replace(reads=tuple(same.get(read, read) for read in node.reads))
        if address not in fixed and address not in same and is_deterministic(graph, node):
            one = first.setdefault((node.op, node.reads, weights_address(graph, node)), address)
            if one != address:
                same[address] = one
        nodes[address] = weights_only(graph, node) if address in same else node
    if not same:
        return graph
    return replace(graph, nodes=nodes, outputs={name: same.get(at, at) for name, at in graph.outputs.items()})


def merged_twins(graph: Graph, order: list[str]) -> dict[str, str]:
    """Node -> the one whose weights it shares, of pathways that give all their nodes what those read."""
    groups: dict[str, list[Node]] = {}
    for node in (graph.nodes[address] for address in order):
        if node.tied:
            groups.setdefault(differing_prefix(node.address, node.tied), []).append(node)
    same, turn = dict[str, str](), {address: i for i, address in enumerate(order)}
    for group in groups.values():
        found = same | {node.address: node.tied for node in group if node.tied}
        if all(same_value(graph, node, found, turn) for node in group):
            same = found
    return same


def same_value(graph: Graph, node: Node, found: dict[str, str], turn: dict[str, int]) -> bool:
    """Whether a node gives what its twin has given before it, if those found do."""
    twin = graph.nodes[found[node.address]]
    reads, others = ([found.get(read, read) for read in one.reads] for one in (node, twin))
    return reads == others and turn[twin.address] < turn[node.address] and is_deterministic(graph, node)


def with_twins(graph: Graph, without: Container[str] = ()) -> set[str]:
    """Nodes that share weights: their part is written once and called for each, so they must stay alike."""
    pairs = [(node.address, node.tied) for node in graph.nodes.values() if node.tied and node.address not in without]
    return {address for pair in pairs for address in pair}


def differing_prefix(address: str, tied: str) -> str:
    """What comes before the end that two addresses have in common."""
    mine, other = address.split("."), tied.split(".")
    while mine and other and mine[-1] == other[-1]:
        mine, other = mine[:-1], other[:-1]
    return ".".join(mine)


def without_dead(graph: Graph) -> Graph:
    """The graph in which what no output is made from is not computed."""
    merged = {node.address for node in graph.nodes.values() if node.tied and not node.reads}
    alive = ancestors(graph, *graph.outputs.values(), *with_twins(graph, without=merged))
    dead = [n for n in graph.nodes.values() if n.address not in alive and n.reads]
    return with_nodes(graph, {node.address: weights_only(graph, node) for node in dead})


def execution_order(part: ModulePart) -> Iterator[str]:
    """The nodes of a part in the order in which they run: what is read across parts then always goes forward."""
    for step in part.steps:
        yield from execution_order(step) if isinstance(step, ModulePart) else (step,)


def is_deterministic(graph: Graph, node: Node) -> bool:
    """Whether a node gives the same again for the same."""
    return isinstance(node.op, WEIGHTED) or layer_of(graph, node).module is None


def weights_address(graph: Graph, node: Node) -> str | None:
    """Whose weights a node has."""
    return None if layer_of(graph, node).module is None else node.address
