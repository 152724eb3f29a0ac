"""Recurrence over time: what an LSTM and a GRU do with their state. Terms of the map come from a layer before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from archdsl.ops.base import Axis, Cost, Grid, Shape, require
from archdsl.ops.stream import Held


@dataclass(frozen=True, kw_only=True)
class Scan(Held):
    """One step a frame, from the first to the last or in reverse; the state is 0 before the first step.

    It reads the terms of all gates, as many channels for each as the state has, and adds those of the state: a square
    `kernel` over it, zeros around it. Marks may be read beside them, (1, t, 1, 1): before each step the state is
    multiplied by the frame's mark, so that 0 begins anew (LRCN's clip markers).
    """

    may_read: ClassVar[int] = 1
    gates: ClassVar[int]
    """Terms that it reads for each channel of the state; its weights give as many."""
    states: ClassVar[int] = 1
    """Maps that it holds, of which the first is given."""

    kernel: int = 1
    bias: bool = False
    reverse: bool = False

    @property
    def in_order(self) -> bool:
        return not self.reverse

    def out(self, *xs: Shape) -> Shape:
        terms = xs[0]
        require(self.kernel % 2 == 1, "an even kernel over a state", got=self.kernel, want="an odd one")
        require(
            terms.c % self.gates == 0,
            "channels that do not fall into gates",
            got=f"{terms.c} read, {self.gates} gates",
            want="no rest",
        )
        for marks in xs[1:]:
            require(
                marks == (1, terms.t, 1, 1),
                "marks of another shape",
                got=f"{marks}",
                want=f"(1, {terms.t}, 1, 1): one number a frame",
            )
        return terms._replace(c=terms.c // self.gates)

    def weight(self, terms: Shape) -> tuple[int, int, int, int]:
        """The kernel over the state: gates x channels, channels, height, width."""
        return terms.c, terms.c // self.gates, self.kernel, self.kernel

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

    def held(self, x: Shape) -> int:
        return self.states * (x.c // self.gates) * x.h * x.w


def wider(axis: Axis, by: int) -> Axis:
    """The axis whose elements see `by` elements more."""
    return axis._replace(span=axis.span + axis.step * by)


@dataclass(frozen=True, kw_only=True)
class LstmScan(Scan):
    """A long short-term memory.  (4c, t, h, w) -> (c, t, h, w)

    i, f, o = sigmoid(terms + W h); g = tanh(terms + W h); c = f c + i g; h = o tanh(c), which is given.
    Terms and weights lie in the order i, f, g, o, as torch.nn.LSTM has them. No gate reads c (no peepholes).
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class GruScan(Scan):
    """A gated recurrent unit.  (3c, t, h, w) -> (c, t, h, w)

    r, z = sigmoid(terms + W h); n = tanh(terms + U (r h)); h = (1 - z) n + z h, which is given.
    Terms and weights lie in the order r, z, n. `reset`: r multiplies the state `before` U reads it (the paper,
    arXiv:1406.1078), or what U gives `after` that, its bias too (torch.nn.GRU).
    """

    gates: ClassVar[int] = 3

    reset: Literal["before", "after"] = "before"
