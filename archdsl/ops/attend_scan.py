"""An LSTM that attends to a map at every step (arXiv:1502.03044)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import or_

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Grid, Op, Shape, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.receptive_field import Seen, union


@dataclass(frozen=True, kw_only=True)
class AttendScan(Op):
    """States and what they attended to, step by step.  (4H, t, 1, 1), (2H, 1, 1, 1), keys, values -> (H + C, t, 1, 1)

    It reads terms of the gates i, f, g, o; the state and the cell before the first step; keys (D, t', h, w); values
    (C, t', h, w). A step scores each place by u tanh(key + W h) + b, softmax over all; z, their mean of the values, is
    multiplied by sigmoid(v h + a), one number (`gated`); terms, U h and V z add up to the gates of an LSTM. New states
    are given, and behind them each step's z.
    """

    reads = 4
    gated: bool = True
    """Whether a number of the state multiplies what is attended to."""

    def sizes(self, *xs: Shape) -> tuple[int, int, int]:
        """Channels of the state, of keys, of values."""
        return xs[0].c // 4, xs[2].c, xs[3].c

    def out(self, *xs: Shape) -> Shape:
        terms, state, keys, values = xs
        hidden, _, c = self.sizes(*xs)
        fits = terms.c % 4 == 0 and terms.h == terms.w == 1 and state == (2 * hidden, 1, 1, 1)
        want = "(4H, t, 1, 1) and (2H, 1, 1, 1)"
        require(fits, "terms and a state that do not match", got=f"{terms} and {state}", want=want)
        require(
            keys[1:] == values[1:], "keys and values of other places", got=f"{keys} and {values}", want="equal t, h, w"
        )
        return Shape(hidden + c, terms.t, 1, 1)

    def weights(self, *xs: Shape) -> Weights:
        hidden, d, c = self.sizes(*xs)
        found = {"query.weight": (d, hidden), "score.weight": (1, d), "score.bias": (1,)}
        if self.gated:
            found |= {"gate.weight": (1, hidden), "gate.bias": (1,)}
        return found | {"state.weight": (4 * hidden, hidden), "context.weight": (4 * hidden, c)}

    def cost(self, *xs: Shape) -> Cost:
        """Every step projects the state, scores and sums all places, and reads state and context."""
        hidden, d, c = self.sizes(*xs)
        t, places = xs[0].t, xs[2].positions
        linear = hidden * d + places * d + hidden * self.gated + 4 * hidden * (hidden + c)
        params = sum(map(prod, self.weights(*xs).values()))
        y = self.out(*xs)
        return Cost(params=params, linear_macs=t * linear, matmul_macs=t * places * c, activations=y.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Where the terms lie; the last step has seen all of them, and of the map whatever it shows."""
        t = grids[0].t
        return grids[0]._replace(t=t._replace(span=t.span + t.step * (xs[0].t - 1)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        shown = union(tuple(map(union, seen[1:])))
        return tuple(one | shown for one in accumulate(seen[0], or_))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Each step keeps the sums of keys and query, and its gates."""
        hidden, _, c = self.sizes(*xs)
        step = xs[2].elements + 7 * hidden + c + xs[2].positions
        return Keeps(
            reads=(2, 3), own=xs[0].t * step, passing=y.elements + 2 * xs[2].elements, passing_back=xs[2].elements
        )

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
        hidden, x = draw.integer(1, 4), draw.shape(t=2, s=3)
        terms, state = Shape(4 * hidden, draw.integer(1, 4), 1, 1), Shape(2 * hidden, 1, 1, 1)
        return cls(gated=draw.flag()), (terms, state, x, x._replace(c=draw.integer(1, 4)))
