"""An LSTM or a GRU that attends to a map at every step (arXiv:1502.03044, arXiv:1409.0473)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import or_
from typing import ClassVar

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.receptive_field import Seen, union
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Attending(Op):
    """What recurrences that attend share: they read terms of gates, a first state, keys and values."""

    reads = 4
    gates: ClassVar[int]
    states: ClassVar[int] = 1
    """Maps that it holds, of which the first asks."""

    def sizes(self, *xs: Shape) -> tuple[int, int, int]:
        """Channels of the state, of keys, of values."""
        return xs[0].c // self.gates, xs[2].c, xs[3].c

    def out(self, *xs: Shape) -> Shape:
        terms, state, keys, values = xs
        hidden, _, c = self.sizes(*xs)
        first = (self.states * hidden, 1, 1, 1)
        fits = terms.c % self.gates == 0 and terms.h == terms.w == 1 and state == first
        want = f"({self.gates}H, t, 1, 1) and ({'2' * (self.states > 1)}H, 1, 1, 1)"
        require(fits, "terms and a state that do not match", got=f"{terms} and {state}", want=want)
        require(
            keys[1:] == values[1:], "keys and values of other places", got=f"{keys} and {values}", want="equal t, h, w"
        )
        return Shape(hidden + c, terms.t, 1, 1)

    def asking(self, *xs: Shape) -> Weights:
        """Weights of what scores each place."""
        hidden, d, _ = self.sizes(*xs)
        return {"query.weight": (d, hidden), "score.weight": (1, d)}

    def weights(self, *xs: Shape) -> Weights:
        hidden, _, c = self.sizes(*xs)
        n = self.gates * hidden
        return self.asking(*xs) | {"state.weight": (n, hidden), "context.weight": (n, c)}

    def cost(self, *xs: Shape) -> Cost:
        """Every step projects the state, scores and sums all places, and reads state and context."""
        _, d, c = self.sizes(*xs)
        t, places, weights = xs[0].t, xs[2].positions, self.weights(*xs)
        linear = sum(prod(size) for name, size in weights.items() if name.endswith("weight")) + (places - 1) * d
        params = sum(map(prod, weights.values()))
        y = self.out(*xs)
        return Cost(params=params, linear_macs=t * linear, matmul_macs=t * places * c, activations=y.elements)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Each step keeps the sums of keys and query, and its gates."""
        hidden, _, c = self.sizes(*xs)
        step = xs[2].elements + 7 * hidden + c + xs[2].positions
        return Keeps(
            reads=(2, 3), own=xs[0].t * step, passing=y.elements + 2 * xs[2].elements, passing_back=xs[2].elements
        )

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Where the terms lie; the last step has seen all of them, and of the map whatever it shows."""
        t = grids[0].t
        return grids[0]._replace(t=t._replace(span=t.span + t.step * (xs[0].t - 1)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        shown = union(tuple(map(union, seen[1:])))
        return tuple(one | shown for one in accumulate(seen[0], or_))

    @classmethod
    def random_reads(cls, draw: Draw) -> tuple[Shape, ...]:
        """What a small one reads."""
        hidden, x = draw.integer(1, 4), draw.shape(t=2, s=3)
        terms, state = Shape(cls.gates * hidden, draw.integer(1, 4), 1, 1), Shape(cls.states * hidden, 1, 1, 1)
        return terms, state, x, x._replace(c=draw.integer(1, 4))


@dataclass(frozen=True, kw_only=True)
class AttendScan(Attending):
    """States and what they attended to, step by step.  (4H, t, 1, 1), (2H, 1, 1, 1), keys, values -> (H + C, t, 1, 1)

    It reads terms of the gates i, f, g, o; the state and the cell before the first step; keys (D, t', h, w); values
    (C, t', h, w). A step scores each place by u tanh(key + W h) + b, softmax over all; z, their mean of the values, is
    multiplied by sigmoid(v h + a), one number (`gated`); terms, U h and V z add up to the gates of an LSTM. New states
    are given, and behind them each step's z.
    """

    gates = 4
    states = 2
    gated: bool = True
    """Whether a number of the state multiplies what is attended to."""

    def asking(self, *xs: Shape) -> Weights:
        found = super().asking(*xs) | {"score.bias": (1,)}
        return found | {"gate.weight": (1, self.sizes(*xs)[0]), "gate.bias": (1,)} if self.gated else found

    def label(self, x: Shape, y: Shape) -> str:
        return f"attending LSTM {x.c // 4}"

    def torch(self, *xs: Shape) -> Layer:
        hidden, d, c = self.sizes(*xs)
        args = (
            Argument("hidden", hidden),
            Argument("keys", d),
            Argument("values", c),
            Argument("gated", self.gated, True),
        )
        return Layer("{m}({0}, {1}, {2}, {3})", "AttendScan", args, needs=runtime("scans.attend_scan", "AttendScan"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(gated=draw.flag()), cls.random_reads(draw)


@dataclass(frozen=True, kw_only=True)
class AttendGruScan(Attending):
    """States and what they attended to, step by step.  (3H, t, 1, 1), (H, 1, 1, 1), keys, values -> (H + C, t, 1, 1)

    It reads terms of r, z, n; the state before the first step; keys (D, t', h, w); values (C, t', h, w). A step scores
    each place by u tanh(key + W h), softmax over all, and means the values by it: c. Terms, V c and U h add up to r and
    z, behind a sigmoid, and with r h for h to n, behind tanh; the new state is (1 - z) n + z h, which is given, and
    behind it each step's c (arXiv:1409.0473, section 3.1).
    """

    gates = 3

    def label(self, x: Shape, y: Shape) -> str:
        return f"attending GRU {x.c // 3}"

    def torch(self, *xs: Shape) -> Layer:
        hidden, d, c = self.sizes(*xs)
        args = (Argument("hidden", hidden), Argument("keys", d), Argument("values", c))
        needs = runtime("scans.attend_scan", "AttendGruScan")
        return Layer("{m}({0}, {1}, {2}, {3})", "AttendGruScan", args, needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), cls.random_reads(draw)
