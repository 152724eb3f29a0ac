"""Which module calls which, as the emitted source has it, and the variables that hold their maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.compiler import Plan
from archdsl.graph import Node

LOCAL_NAMES = ("y", "z", "u", "v")


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


@dataclass
class LocalVariables:
    """The variables of one forward: a result takes the name of what was read for the last time, else a fresh one.

    A variable keeps its map alive until it is assigned anew or the forward ends.
    """

    call: ModuleCall
    last: Mapping[str, int]
    held: dict[str, str] = field(default_factory=dict)
    """Value that is still needed -> variable."""

    def targets(self, i: int, addresses: list[str], values: list[str], read: tuple[str, ...]) -> list[str]:
        """The variables that take the results of step i."""
        names = [self.held[value] for value in read]
        dead = [value for value in self.held if self.last.get(value, -1) <= i]
        free = {self.held.pop(value) for value in dead}
        found = []
        for address, value in zip(addresses, values):
            target = self.target(address, [name for name in names if name in free])
            free.discard(target)
            self.held[value] = target
            found.append(target)
        return found

    def target(self, address: str, free: list[str]) -> str:
        """The variable of one result; `free` were read for the last time."""
        used = set(self.held.values())
        local = address.removeprefix(f"{self.call.address}.")
        pathway, inside, _ = local.partition(".")
        if not self.call.address and inside and pathway != "edges" and pathway not in used:
            return pathway
        fresh = LOCAL_NAMES if self.call.address else ()
        own = (*fresh, local.rpartition(".")[2], local)
        return next(iter([*free, *(name for name in own if name not in used)]), f"value_{local}")


def last_reads(call: ModuleCall, nodes: Mapping[str, Node]) -> dict[str, int]:
    """Value -> the last step of a forward that reads it; what leaves lives to the end."""
    last = {value: i for i, step in enumerate(call.steps) for value in call.reads(step, nodes)}
    return last | {value: len(call.steps) for value in call.outputs}
