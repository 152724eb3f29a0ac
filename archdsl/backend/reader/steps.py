"""What a traced module computes, without what only moves numbers: the steps that two networks have in common.

A view, a copy, a choice of frames, a concatenation of tokens is no step: a step reads the steps whose numbers reach it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch.fx import Node

from archdsl.backend.reader.trace import TracedModule, innermost_module

Part = tuple[str, int, int]
"""(name of a weight, i, n): the i-th of n equal parts of its rows."""


@dataclass
class TracedStep:
    """One step of a network."""

    kind: str
    fields: tuple[Any, ...] = ()
    reads: tuple[tuple[int, ...], ...] = ()
    """For each operand the steps that its numbers come from."""
    weights: dict[str, Part] = field(default_factory=dict)
    """Role -> weight."""
    shape: tuple[int, ...] = ()
    macs: int = 0
    node: Any = None
    """The call of an aten op."""
    window: dict[str, Any] = field(default_factory=dict)
    """Of a convolution or a pool: kernel, stride, pad, dilation, groups."""
    known: bool = True
    commutes: bool = False

    @property
    def at(self) -> str:
        """Where it stands in the module."""
        return innermost_module(self.node)[0] if self.node else ""

    @property
    def signature(self) -> tuple[Any, ...]:
        """What it does, whatever it reads."""
        return (self.kind, *self.fields, self.macs)

    def text(self) -> str:
        """It in words."""
        return " ".join([self.kind, *(f"{x:g}" if isinstance(x, float) else sizes(x) for x in self.fields)]).strip()


def sizes(value: Any) -> str:
    """Sizes joined by x; anything else as it is."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class TracedValue:
    """Where the numbers of a traced value come from."""

    steps: tuple[int, ...] = ()
    weights: tuple[str, ...] = ()
    joint: tuple[int, ...] = ()
    """Linear steps whose results it is, side by side, in whatever shape: it is taken apart later."""
    pieces: tuple[TracedValue, ...] = ()
    """Those of a list of values."""

    @property
    def constant(self) -> bool:
        """Whether it is the same for every clip and has no weights."""
        return not self.steps and not self.weights


def joined_values(values: Iterable[TracedValue]) -> TracedValue:
    """Numbers of several values."""
    found = list(values)
    steps = dict.fromkeys(step for value in found for step in value.steps)
    return TracedValue(tuple(steps), tuple(dict.fromkeys(name for value in found for name in value.weights)))


@dataclass
class Steps:
    """The steps of a module."""

    traced: TracedModule
    sizes: dict[str, tuple[int, ...]]
    """Name of a weight -> shape."""
    all: list[TracedStep] = field(default_factory=list)
    values: dict[str, TracedValue] = field(default_factory=dict)
    scalars: Counter[float] = field(default_factory=Counter)
    """Factors that values are multiplied by."""

    def add(self, step: TracedStep) -> TracedValue:
        """One step more."""
        self.all.append(step)
        return TracedValue((len(self.all) - 1,))

    def value(self, x: Any) -> TracedValue:
        """Where an argument's numbers come from."""
        if isinstance(x, Node):
            return self.values.get(x.name, TracedValue())  # what is not known yet is a constant of the module
        if isinstance(x, list | tuple):
            return joined_values(self.value(one) for one in x)
        return TracedValue()

    def weight(self, x: Any) -> dict[str, Part]:
        """The one weight that an argument is made from."""
        names = self.value(x).weights
        return {"": (names[0], 0, 1)} if len(names) == 1 else {}

    def roles(self, **given: Any) -> dict[str, Part]:
        """Role -> weight, of those arguments that are made from one."""
        return {role: part for role, x in given.items() for part in self.weight(x).values()}

    def beside(self, *xs: Any) -> dict[str, Part]:
        """Weights that come in with operands: class tokens, tables of positions, kernels of one's own."""
        names = dict.fromkeys(name for x in xs for name in self.value(x).weights)
        return {f"beside{i}": (name, 0, 1) for i, name in enumerate(names)}
