"""Recurrence over time: what an LSTM and a GRU do with their state. Terms of the map come from a layer before them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from operator import or_
from typing import ClassVar, Literal

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, key_of, require
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Function, Layer, Weights, runtime, with_bias
from archdsl.ops.receptive_field import Seen, merged
from archdsl.ops.shape import Shape
from archdsl.ops.stream import Held


@dataclass(frozen=True, kw_only=True)
class Scan(Held):
    """One step a frame, from the first to the last or in reverse; the state is 0 before the first step.

    It reads the terms of all gates, as many channels for each as the state has, and adds those of the state: a square
    `kernel` over it, zeros around it. Marks may be read beside them, (1, t, 1, 1): before each step the state is
    multiplied by the frame's mark, so that 0 begins anew (LRCN's clip markers).
    """

    may_read = 1
    gates: ClassVar[int]
    """Terms that it reads for each channel of the state; its weights give as many."""
    states: ClassVar[int] = 1
    """Maps that it holds, of which the first is given."""
    saves: ClassVar[int]
    """Maps that each step saves for backward: its gates, states and what it makes of them (counted)."""

    kernel: int = 1
    """Side of the square kernel over the state; odd."""
    bias: bool = False
    """Whether the terms of the state have a bias."""
    reverse: bool = False
    """Whether it goes from the last frame to the first."""

    @property
    def in_order(self) -> bool:
        return not self.reverse

    def out(self, *xs: Shape) -> Shape:
        terms = xs[0]
        require(self.kernel % 2 == 1, "even kernel over the recurrent state", got=self.kernel, want="an odd one")
        require(
            terms.c % self.gates == 0,
            "channels not divisible by gates",
            got=f"{terms.c} read, {self.gates} gates",
            want=f"a multiple of {self.gates}",
        )
        for marks in xs[1:]:
            require(
                marks == (1, terms.t, 1, 1),
                "wrong shape of `marks`",
                got=f"{marks}",
                want=f"(1, {terms.t}, 1, 1): one number per frame",
            )
        return terms._replace(c=terms.c // self.gates)

    def weights(self, *xs: Shape) -> Weights:
        """The kernel over the state: gates x channels, channels, height, width."""
        terms = xs[0].c
        found = {"weight": (terms, terms // self.gates, self.kernel, self.kernel)}
        return with_bias(found, self.bias * terms)

    def cost(self, *xs: Shape) -> Cost:
        """Every step reads the state, the first one too."""
        y = self.out(*xs)
        weights = self.gates * y.c * y.c * self.kernel**2
        return Cost(params=weights + self.bias * xs[0].c, conv_macs=weights * y.positions, activations=y.elements)

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """Of a single frame the state before it is 0."""
        return ("weight",) if xs[0].t == 1 else ()

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """The last step has seen every frame, and as far to every side as that many kernels reach.

        Terms that span the clip already, as those of another scan do, see no more of it.
        """
        grid, steps = grids[0], xs[0].t - 1
        t = grid.t if grid.t.span > grid.t.step * steps else wider(grid.t, steps)
        h, w = (wider(axis, (self.kernel - 1) * steps) for axis in grid[1:3])
        return Grid(t, h, w, grid.tick)

    def held(self, *xs: Shape) -> int:
        x = xs[0]
        return self.states * (x.c // self.gates) * x.h * x.w

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        """Every element with all before it, or in reverse all after it, and their marks."""
        both = merged(*seen)
        return tuple(accumulate(both[::-1], or_))[::-1] if self.reverse else tuple(accumulate(both, or_))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Beside the result stand the states that it is put together of, and the terms of one step, twice."""
        terms = xs[0]
        passing = y.elements + 2 * terms.elements // terms.t
        return Keeps(own=self.saves * y.elements, passing=passing, passing_back=terms.elements)

    def label(self, x: Shape, y: Shape) -> str:
        window = f" {self.kernel}²" if self.kernel > 1 else ""
        return f"{key_of(type(self)).replace('_', ' ')}{window}{' in reverse' if self.reverse else ''}"

    def torch(self, *xs: Shape) -> Layer:
        """A step a frame; in reverse all that is read and what is given is turned round."""
        turned = ".flip(2)" if self.reverse else ""
        reads = ", ".join(f"{{{i}}}{turned}" for i in range(len(xs)))
        name = type(self).__name__
        return Layer(f"{{m}}({reads}){turned}", name, self.arguments(*xs), needs=scan_needs(name))

    def arguments(self, *xs: Shape) -> tuple[Argument, ...]:
        """What its layer is made with."""
        return (
            Argument("hidden", self.out(*xs).c),
            Argument("kernel", self.kernel, 1),
            Argument("bias", self.bias, False),
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Terms of all gates, and sometimes marks."""
        x = draw.shape(c=4, t=4, s=4)
        marks = draw.choice(((), (Shape(1, x.t, 1, 1),)))
        return cls(**random_fields(cls, draw, kernel=draw.choice((1, 3)))), (x._replace(c=x.c * cls.gates), *marks)


def scan_needs(name: str) -> tuple[Function, ...]:
    """The layer of a scan, and what it is made from."""
    return runtime("stream", "Held") + runtime("scans.recurrent", "Scan", name)


def wider(axis: Axis, by: int) -> Axis:
    """The axis whose elements see `by` elements more."""
    return axis._replace(span=axis.span + axis.step * by)


@dataclass(frozen=True, kw_only=True)
class LstmScan(Scan):
    """A long short-term memory.  (4c, t, h, w) -> (c, t, h, w)

    i, f, o = sigmoid(terms + W h); g = tanh(terms + W h); c = f c + i g; h = o tanh(c), which is given.
    Terms and weights lie in the order i, f, g, o, as torch.nn.LSTM has them. No gate reads c (no peepholes).
    """

    gates = 4
    states = 2
    saves = 7

    cell: bool = False
    """Whether c is given instead of h."""

    def arguments(self, *xs: Shape) -> tuple[Argument, ...]:
        return (*super().arguments(*xs), Argument("cell", self.cell, False))


@dataclass(frozen=True, kw_only=True)
class GruScan(Scan):
    """A gated recurrent unit.  (3c, t, h, w) -> (c, t, h, w)

    r, z = sigmoid(terms + W h); n = tanh(terms + U (r h)); h = (1 - z) n + z h, which is given.
    Terms and weights lie in the order r, z, n. `reset`: r multiplies the state `before` U reads it (the paper,
    arXiv:1406.1078), or what U gives `after` that, its bias too (torch.nn.GRU).
    """

    gates = 3
    saves = 6

    reset: Literal["before", "after"] = "before"
    """Where r multiplies: the state before its weights, or what they give after."""

    def arguments(self, *xs: Shape) -> tuple[Argument, ...]:
        return (*super().arguments(*xs), Argument("after", self.reset == "after", False))
