"""Which module calls which, as the emitted source has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.compiler import Plan
from archdsl.graph import Node


@dataclass
class ModuleCall:
    """One module: its steps are ops (addresses) and calls of inner modules."""

    address: str
    kind: str
    steps: list[str | ModuleCall] = field(default_factory=list)
    inputs: dict[str, None] = field(default_factory=dict)
    outputs: dict[str, None] = field(default_factory=dict)

    def reads(self, step: str | ModuleCall, nodes: Mapping[str, Node]) -> tuple[str, ...]:
        """The values that a step reads."""
        return tuple(step.inputs) if isinstance(step, ModuleCall) else nodes[step].reads


def calls_of(plan: Plan) -> ModuleCall:
    """The network as a tree of calls. Containers, such as a pathway, are never called."""
    root = ModuleCall("", "Network")
    known = {"": root}
    paths: dict[str, tuple[str, ...]] = {}
    leaving = set(plan.graph.outputs.values())
    for node in plan.nodes:
        path = (
            tuple(scope for scope in prefixes(node.address) if not plan.scopes[scope].container) if node.reads else ()
        )
        paths[node.address] = path
        for above, scope in zip(("", *path), path):
            if scope not in known:
                known[scope] = ModuleCall(scope, plan.scopes[scope].kind)
                known[above].steps.append(known[scope])
        if node.reads:
            known[path[-1] if path else ""].steps.append(node.address)
        for read in node.reads:
            for scope in path:
                if scope not in paths[read]:
                    known[scope].inputs[read] = None
            for scope in paths[read]:
                if scope not in path:
                    known[scope].outputs[read] = None
        if node.address in leaving:
            for scope in path:
                known[scope].outputs[node.address] = None
    return root


def prefixes(address: str) -> list[str]:
    """a.b.c -> a, a.b"""
    parts = address.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]
