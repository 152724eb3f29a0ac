"""Positions: tables added to a map, so that what attends to it knows where an element lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import CONSTANTS, Argument, Layer, Weights, runtime
from archdsl.ops.shape import Shape

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
    """Axes of each table: thw is one table of all positions, [hw, t] one of space and one of time."""
    tokens: bool = True
    """Whether the first table has entries for the tokens beside the map."""
    std: float = 0.02
    """Standard deviation that entries start with."""
    entries: int | None = None
    """Of a single table that is longer than the map: its first are used."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        if self.entries is not None:
            got = f"{self.entries} entries over {', '.join(self.over)}"
            require(len(self.over) == 1, "entries of several tables", got=got, want="one table", fix="over: t")
            needed = self.needed(x)[self.over[0]]
            what, fix = "a table of positions shorter than the map", f"entries: {needed}"
            require(self.entries >= needed, what, got=got, want=f"at least {needed}", fix=fix)
        require(bool(self.over), "no table of positions", got=list(self.over), want="such as [thw] or [hw, t]")
        require(len(set(self.over)) == len(self.over), "a table twice", got=list(self.over), want="each once")
        require(x.t >= 1 or self.over == ("thw",), "tables over axes of no map", got=list(self.over), want="[thw]")
        return x

    def needed(self, x: Shape) -> dict[str, int]:
        """TableAxes -> the entries that the map needs."""
        extra = x.extra * self.tokens
        return {
            axes: prod(getattr(x, axis) for axis in axes) + (extra if not i else 0) for i, axes in enumerate(self.over)
        }

    def weights(self, *xs: Shape) -> Weights:
        return {axes: (self.entries or count, xs[0].c) for axes, count in self.needed(xs[0]).items()}

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
            Argument("more", (self.entries or 0) and self.entries - next(iter(self.needed(x).values())), 0),
        )
        return Layer("{m}({0})", "Positions", args, needs=runtime("attention.positions", "Positions"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        choices: tuple[tuple[TableAxes, ...], ...] = (("thw",), ("hw", "t"), ("t", "hw"), ("hw",), ("t", "h", "w"))
        over = draw.choice(choices)
        x = draw.shape()._replace(extra=draw.integer(0, 2))
        op = cls(over=over, tokens=draw.flag(), std=draw.choice((0.0, 0.02)))
        more = draw.integer(0, 3) if len(over) == 1 else 0
        return replace(op, entries=op.needed(x)[over[0]] + more if more else None), (x,)


@dataclass(frozen=True, kw_only=True)
class SinePositions(Beside):
    """Sines and cosines of positions added to a map; 0 for tokens beside it.  (c, t, h, w, k) -> (c, t, h, w, k)

    Each of `over` counts positions along its axes, in rows, and has its share of the channels; of channel pair i of n
    sine and cosine of position / 10000^(i / n) (arXiv:1706.03762), side by side or (`halves`) all sines first.
    """

    passes_extra = True
    over: tuple[TableAxes, ...] = ("thw",)
    """Axes that are counted together; each has its share of the channels."""
    shares: tuple[int, ...] = ()
    """Of the channels, for each of `over`; by default equal."""
    halves: bool = False
    """Whether all sines stand before all cosines; else they alternate."""
    circle: bool = False
    """Whether positions along each of `over` are shares of a full circle, up to 2 pi at the last (DETR)."""
    counted: bool = False
    """Whether the table is a parameter that is not trained, as some originals have it; else a buffer."""

    def widths_of(self, c: int) -> tuple[int, ...]:
        """How many channels each has."""
        shares = self.shares or (1,) * len(self.over)
        require(
            len(shares) == len(self.over) and min(shares, default=0) >= 1,
            "shares that are not those of the axes",
            got=f"shares {list(shares)} over {list(self.over)}",
            want="one from 1 for each",
        )
        unit = 2 * sum(shares)
        what = "channels that make no pairs for each of the axes"
        require(c % unit == 0, what, got=c, want=f"a multiple of {unit}")
        return tuple(c // sum(shares) * share for share in shares)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        self.widths_of(x.c)
        require(x.t >= 1, "positions of no map", got=x, want="a map")
        return x

    def weights(self, *xs: Shape) -> Weights:
        return {"table": (xs[0].positions - xs[0].extra, xs[0].c)} if self.counted else {}

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        return ("table",) if self.counted else ()

    def buffers(self, *xs: Shape) -> int:
        x = xs[0]
        return 0 if self.counted else 4 * x.c * (x.positions - x.extra)

    @property
    def each_frame(self) -> bool:
        return not self.counted and not any("t" in axes for axes in self.over)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(gradient="same", passing=y.elements * bool(y.extra))

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,)

    def label(self, x: Shape, y: Shape) -> str:
        return f"sine positions {' + '.join(self.over)}"

    def row(self, x: Shape | None = None) -> str:
        return f"sine positions {' + '.join(self.over)}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = (
            Argument("size", (x.t, x.h, x.w)),
            Argument("over", self.over),
            Argument("widths", self.widths_of(x.c)),
            Argument("extra", x.extra, 0),
            Argument("halves", self.halves, False),
            Argument("counted", self.counted, False),
            Argument("circle", self.circle, False),
        )
        return Layer(
            "{m}({0})",
            "SinePositions",
            args,
            needs=CONSTANTS + runtime("attention.positions", "sines_at", "SinePositions"),
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        choices: tuple[tuple[TableAxes, ...], ...] = (("thw",), ("w", "h"), ("t", "h", "w"), ("hw", "t"))
        over = draw.choice(choices)
        shares = draw.choice(((), (2, *(1,) * (len(over) - 1))))
        unit = 2 * (sum(shares) or len(over))
        x = draw.shape()._replace(c=unit * draw.integer(1, 2), extra=draw.integer(0, 2))
        return cls(over=over, shares=shares, halves=draw.flag(), counted=draw.flag(), circle=draw.flag()), (x,)
