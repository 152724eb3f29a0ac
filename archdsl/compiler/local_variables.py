"""Which variable of a module's forward holds which value: emitted texts are written and memory is told by it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from itertools import chain, count

LOCAL_NAMES = ("y", "z", "u", "v")


@dataclass
class LocalVariables:
    """The variables of one forward: a result takes the name of what was read for the last time, else a fresh one.

    A variable keeps its map alive until it is assigned anew or the forward ends.
    """

    module: str
    """The module's address; empty for the whole network, where a pathway's values bear its name."""
    last: Mapping[str, int]
    """Value -> the last step that reads it."""
    held: dict[str, str] = field(default_factory=dict)
    """Value that is still needed -> variable."""
    taken: Set[str] = frozenset()
    """Names that no variable gets."""

    def targets(self, i: int, step: str, values: Collection[str], reads: Iterable[str]) -> list[str]:
        """The variables that take the results of step i, an op or a module at an address, which reads some values."""
        names = [self.held[value] for value in reads]
        dead = [value for value in self.held if self.last.get(value, -1) <= i]
        free = {self.held.pop(value) for value in dead}
        found = []
        for value in values:
            target = self.target(step if len(values) == 1 else value, [name for name in names if name in free])
            free.discard(target)
            self.held[value] = target
            found.append(target)
        return found

    def target(self, address: str, free: list[str]) -> str:
        """A pathway's name for its values, else the first of `free`, just read for the last time, else a fresh one."""
        used = {*self.held.values(), *self.taken}
        local = address.removeprefix(f"{self.module}.") if self.module else address
        pathway, inside, _ = local.partition(".")
        if not self.module and inside and pathway != "edges" and pathway not in used:
            return pathway
        if free:
            return free[0]
        local = local.replace("@", "_")
        fresh = (*(LOCAL_NAMES if self.module else ()), local.rpartition(".")[2], local.replace(".", "_"))
        usable = (name for name in fresh if name.isidentifier() and name not in ("x", "head"))
        return next(name for name in chain(usable, map("value_{}".format, count())) if name not in used)


def input_names(inputs: Collection[str]) -> dict[str, str]:
    """What a module reads -> the arguments of its forward: x, or x1, x2..."""
    return dict(zip(inputs, ["x"] if len(inputs) == 1 else [f"x{i}" for i in range(1, len(inputs) + 1)]))


def last_reads(steps: Iterable[Iterable[str]], outputs: Collection[str]) -> dict[str, int]:
    """Value -> the last of the steps that reads it, given what each does; what leaves lives to the end."""
    read = [*steps]
    last = {value: i for i, values in enumerate(read) for value in values}
    return last | {value: len(read) for value in outputs}
