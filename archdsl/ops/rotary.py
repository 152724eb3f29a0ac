"""Rotary positions in time and space: pairs of channels of queries and keys turned by angles of where they lie."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Beside, Op, Shape, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.heads import check_heads
from archdsl.ops.layer import Argument, Layer, runtime


@dataclass(frozen=True, kw_only=True)
class Rotary(Beside):
    """Pairs of channels turned by angles of t, h and w.  (c, t, h, w, k) -> (c, t, h, w, k)

    In every head of n channels, time turns the first 2 floor(n / 6), height and width as many each behind them; the
    rest, and tokens beside the map, stay. Of a pair of neighbours (a, b), which are channels 2i and 2i + 1 of the 2p of
    an axis, a cos(u) - b sin(u) and b cos(v) + a sin(v) leave. The angles are those of V-JEPA 2 (arXiv:2506.09985, the
    authors' code): channel j has position / 10000^((j mod p) / p), so that u and v differ.
    """

    passes_extra = True
    heads: int
    """Heads whose channels are turned alike; channels are a multiple of it."""

    def turned(self, x: Shape) -> int:
        """Channels of a head that each axis turns."""
        return 2 * (x.c // self.heads // 6)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_heads(x, self.heads)
        require(self.turned(x) > 0, "heads too narrow for rotary positions", got=x.c // self.heads, want="at least 6")
        require(x.t >= 1, "rotary positions of no map", got=x, want="a map")
        return x

    def buffers(self, *xs: Shape) -> int:
        (x,) = xs
        return 4 * 2 * self.turned(x) * (x.t + x.h + x.w)

    @property
    def each_frame(self) -> bool:
        return False

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Nothing but its tables; the turned parts stand beside the result that they make, with tokens the map too."""
        rest = y.positions - y.extra
        part = self.heads * self.turned(y) * rest
        return Keeps(passing=3 * part + (y.c * rest if y.extra else 0), passing_back=3 * part)

    def label(self, x: Shape, y: Shape) -> str:
        return "rotary positions t + h + w"

    def row(self, x: Shape | None = None) -> str:
        return "rotary positions"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = (
            Argument("heads", self.heads),
            Argument("channels", self.turned(x)),
            Argument("size", (x.t, x.h, x.w)),
            Argument("extra", x.extra, 0),
        )
        return Layer("{m}({0})", "Rotary", args, needs=runtime("attention.rotary", "turning", "turned", "Rotary"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        heads = draw.integer(1, 3)
        x = draw.shape()._replace(c=heads * draw.integer(6, 13), extra=draw.integer(0, 2))
        return cls(heads=heads), (x,)
