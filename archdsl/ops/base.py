"""What every op has: a shape rule, a cost rule, and where its result lies in time and space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from archdsl.errors import SpecError


class Shape(NamedTuple):
    """A feature map without its batch axis: channels, frames, height, width."""

    c: int
    t: int
    h: int
    w: int

    @property
    def positions(self) -> int:
        """How many places in time and space: t * h * w."""
        return self.t * self.h * self.w

    @property
    def elements(self) -> int:
        """How many numbers: c * t * h * w."""
        return self.c * self.t * self.h * self.w

    def __str__(self) -> str:
        return f"({self.c}, {self.t}, {self.h}, {self.w})"


class Axis(NamedTuple):
    """Where the elements of one axis lie in the source, in source frames or pixels.

    `step` between neighbours, `start` the centre of the first element, `span` the receptive field of one element.
    """

    step: Fraction
    start: Fraction
    span: Fraction


class Grid(NamedTuple):
    """Time and space as types: one axis each, and `tick`, the seconds between two source frames (0 when not known)."""

    t: Axis
    h: Axis
    w: Axis
    tick: Fraction = Fraction(0)


UNIT = Axis(Fraction(1), Fraction(0), Fraction(1))


class Cost(NamedTuple):
    """Exact integers for one clip. Conventions are sums of these (see `archdsl.report.cost`).

    A multiply-add counts 1. `fvcore_extra` is what fvcore 0.1.5 counts beside convolutions, linear layers and matrix
    products (2 per element of an affine batch norm in eval mode, 5 of a layer or group norm...); it is negative
    where fvcore cannot see an op that we count.
    """

    params: int = 0
    conv_macs: int = 0
    linear_macs: int = 0
    matmul_macs: int = 0
    norm_elements: int = 0
    fvcore_extra: int = 0
    activations: int = 0

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products."""
        return self.conv_macs + self.linear_macs + self.matmul_macs


@dataclass(frozen=True, kw_only=True)
class Op:
    """One tensor operation: fields, a shape rule, a cost rule, a place rule. It computes nothing.

    The rules see the shapes of what the op reads, in order. An op knows what is wrong, never where: it raises
    SpecError without an address, and the builder adds one.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    """So that an op written as data refuses fields it does not have."""

    reads: ClassVar[int | None] = 1
    """How many maps the op reads; None for two or more."""
    may_read: ClassVar[int] = 0
    """How many maps it may read beside those."""
    merges: ClassVar[bool] = False
    """Whether the maps it reads must lie on the same grid."""

    def out(self, *xs: Shape) -> Shape:
        """The shape of the result."""
        return xs[0]

    def cost(self, *xs: Shape) -> Cost:
        """The cost of one clip; by default only the elements it writes."""
        return Cost(activations=self.out(*xs).elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """The grid of the result; by default that of the first map."""
        return grids[0]

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """For each map it reads, whether a gradient of the result reaches it; by default all."""
        return (True,) * len(xs)

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """Names of its own weights that no gradient reaches; by default none."""
        return ()

    def tensor(self, y: Shape) -> tuple[int, ...]:
        """The result `y` as torch has it, without the batch axis; by default with all its axes."""
        return tuple(y)


def key_of(kind: type) -> str:
    """The name of an op, block or transform in YAML: its class name in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()


def require(condition: bool, what: str, *, got: object, want: object, fix: str | None = None) -> None:
    """Raise SpecError with both values unless the condition holds."""
    if not condition:
        raise SpecError(what, got=str(got), want=str(want), fix=fix)
