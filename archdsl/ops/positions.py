"""Positions: tables added to a map, so that what attends to it knows where an element lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Beside, Op, Shape, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, runtime

TableAxes = Literal["thw", "hw", "t", "h", "w"]
"""Axes along which the entries of a table differ; along the others they repeat."""


@dataclass(frozen=True, kw_only=True)
class Positions(Beside):
    """Learnt tables added to a map, one or several over some of its axes each.  (c, t, h, w, k) -> (c, t, h, w, k)

    The first table has entries for the tokens beside the map too, in front, unless `tokens` is false. Tables start at
    N(0, std^2).
    """

    passes_extra = True
    kept = Keeps(gradient="same")
    over: tuple[TableAxes, ...] = ("thw",)
    tokens: bool = True
    std: float = 0.02

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(bool(self.over), "no table of positions", got=list(self.over), want="such as [thw] or [hw, t]")
        require(len(set(self.over)) == len(self.over), "a table twice", got=list(self.over), want="each once")
        require(x.t >= 1 or self.over == ("thw",), "tables over axes of no map", got=list(self.over), want="[thw]")
        return x

    def entries(self, x: Shape) -> dict[str, int]:
        """TableAxes -> its entries."""
        extra = x.extra * self.tokens
        return {
            axes: prod(getattr(x, axis) for axis in axes) + (extra if not i else 0) for i, axes in enumerate(self.over)
        }

    def weights(self, *xs: Shape) -> Weights:
        return {axes: (count, xs[0].c) for axes, count in self.entries(xs[0]).items()}

    @property
    def each_frame(self) -> bool:
        return not any("t" in axes for axes in self.over)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The tables joined, and in backward the gradient of all clips for each."""
        table = y.elements * (len(self.over) > 1 or bool(y.extra))
        return Keeps(passing=table, gradient="same", passing_back=table)

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,)

    def label(self, x: Shape, y: Shape) -> str:
        return f"positions {' + '.join(self.over)}"

    def row(self, x: Shape | None = None) -> str:
        return f"learnt positions {' + '.join(self.over)}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = (
            Argument("channels", x.c),
            Argument("size", (x.t, x.h, x.w)),
            Argument("over", self.over, ("thw",)),
            Argument("extra", x.extra, 0),
            Argument("tokens", self.tokens, True),
            Argument("std", self.std, 0.02),
        )
        return Layer("{m}({0})", "Positions", args, needs=runtime("positions", "Positions"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        choices: tuple[tuple[TableAxes, ...], ...] = (("thw",), ("hw", "t"), ("t", "hw"), ("hw",), ("t", "h", "w"))
        over = draw.choice(choices)
        x = draw.shape()._replace(extra=draw.integer(0, 2))
        return cls(over=over, tokens=draw.flag(), std=draw.choice((0.0, 0.02))), (x,)


@dataclass(frozen=True, kw_only=True)
class SinePositions(Beside):
    """Sines and cosines of an element's number in (t, h, w) order, added to a map.  (c, t, h, w) -> (c, t, h, w)

    Channels 2 i and 2 i + 1 are sine and cosine of number / 10000^(2 i / c) (arXiv:1706.03762, section 3.5).
    """

    kept = NOTHING

    def buffers(self, *xs: Shape) -> int:
        return 4 * xs[0].elements

    @property
    def each_frame(self) -> bool:
        return False

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,)

    def label(self, x: Shape, y: Shape) -> str:
        return "sine positions"

    def row(self, x: Shape | None = None) -> str:
        return "sine positions"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = (Argument("channels", x.c), Argument("size", (x.t, x.h, x.w)))
        return Layer("{m}({0})", "SinePositions", args, needs=runtime("positions", "SinePositions"))
