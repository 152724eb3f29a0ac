"""Rotary positions in time and space: pairs of channels of queries and keys turned by angles of where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.heads import check_heads
from archdsl.ops.layer import CONSTANTS, Argument, Layer, changed_keywords, runtime
from archdsl.ops.receptive_field import Seen
from archdsl.ops.shape import Shape

TurningAxis = Literal["t", "h", "w"]


def turned_channels(x: Shape, heads: int, axes: int) -> int:
    """Channels of a head that each axis turns. Raises SpecError where heads are too narrow."""
    check_heads(x, heads)
    turned = 2 * (x.c // heads // (2 * axes))
    require(turned > 0, "heads too narrow for rotary positions", got=x.c // heads, want=f"at least {2 * axes}")
    return turned


@dataclass(frozen=True, kw_only=True)
class Turning(Beside):
    """How far positions turn pairs of channels."""

    heads: int
    """Heads whose channels are turned alike; channels are a multiple of it."""
    over: tuple[TurningAxis, ...] = ("t", "h", "w")
    """Axes that turn channels, in the order of these."""
    one_angle: bool = False
    """Whether both channels of a pair are turned by one angle (arXiv:2104.09864), not each by its own."""
    start: int = 0
    """Position of the first element along each axis."""

    def turned(self, x: Shape) -> int:
        """Channels of a head that each axis turns."""
        require(
            len(set(self.over)) == len(self.over) >= 1, "an axis twice, or none", got=list(self.over), want="t, h, w"
        )
        return turned_channels(x, self.heads, len(self.over))

    def arguments(self) -> tuple[Argument, ...]:
        """The fields that are not as V-JEPA 2 has them."""
        return (
            Argument("over", "".join(self.over), "thw"),
            Argument("one_angle", self.one_angle, False),
            Argument("start", self.start, 0),
        )


@dataclass(frozen=True, kw_only=True)
class Rotary(Turning):
    """Pairs of channels turned by angles of t, h and w.  (c, t, h, w, k) -> (c, t, h, w, k)

    In every head of n channels, the first of the a axes in `over` turns the first 2 floor(n / 2a), the others as many
    each behind them; the rest, and tokens beside the map, stay. Of a pair of neighbours (a, b), which are
    channels 2i and 2i + 1 of the 2p of an axis, a cos(u) - b sin(u) and b cos(v) + a sin(v) leave. With `one_angle`,
    u = v = position / 10000^(i / p). Else the angles are those of V-JEPA 2 (arXiv:2506.09985, the authors' code):
    channel j has position / 10000^((j mod p) / p), so that u and v differ.
    """

    passes_extra = True

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        self.turned(x)
        require(x.t >= 1, "rotary positions of no map", got=x, want="a map")
        return x

    def buffers(self, *xs: Shape) -> int:
        (x,) = xs
        return 4 * 2 * self.turned(x) * sum(getattr(x, axis) for axis in self.over)

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
        return f"rotary positions {' + '.join(self.over)}"

    def row(self, x: Shape | None = None) -> str:
        return "rotary positions"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = (
            Argument("heads", self.heads),
            Argument("channels", self.turned(x)),
            Argument("size", (x.t, x.h, x.w)),
            Argument("extra", x.extra, 0),
            *self.arguments(),
        )
        return Layer(
            "{m}({0})", "Rotary", args, needs=CONSTANTS + runtime("attention.rotary", "turning", "turned", "Rotary")
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        heads = draw.integer(1, 3)
        x = draw.shape()._replace(c=heads * draw.integer(6, 13), extra=draw.integer(0, 2))
        over: tuple[TurningAxis, ...] = draw.choice((("t", "h", "w"), ("w", "h"), ("t",)))
        return cls(heads=heads, over=over, one_angle=draw.flag(), start=draw.integer(0, 1)), (x,)


@dataclass(frozen=True, kw_only=True)
class Turns(Turning):
    """Cosines and sines of the angles of a map of a size, for `TurnedBy`.  (c, ...) -> (2 axes turned, *size)

    First the cosines of all axes, then the sines; of what is read the channels alone count.
    """

    passes_extra = True
    reads_size = True
    kept = NOTHING
    shown = "never"
    size: tuple[int, int, int] = (1, 1, 1)
    """Elements (t, h, w)."""

    def out(self, *xs: Shape) -> Shape:
        require(min(self.size) >= 1, "`size` below 1", got=list(self.size), want="at least 1")
        return Shape(2 * len(self.over) * self.turned(xs[0]), *self.size)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (0,) * y.t

    def buffers(self, *xs: Shape) -> int:
        return 4 * self.out(*xs).elements

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("channels", self.turned(xs[0])), Argument("size", self.size), *self.arguments())
        return Layer("{m}({0})", "Turns", args, needs=CONSTANTS + runtime("attention.rotary", "turning", "Turns"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        heads = draw.integer(1, 3)
        x = draw.shape()._replace(c=heads * draw.integer(6, 13), extra=draw.integer(0, 2))
        size = (draw.integer(1, 3), draw.integer(1, 3), draw.integer(1, 3))
        over: tuple[TurningAxis, ...] = draw.choice((("t", "h", "w"), ("h",)))
        return cls(heads=heads, size=size, over=over, one_angle=draw.flag(), start=draw.integer(0, 1)), (x,)


@dataclass(frozen=True, kw_only=True)
class TurnedBy(Beside):
    """`Rotary` of a map whose elements lie where turns say.  (c, t, h, w, k), (2 axes turned, t, h, w) -> same"""

    reads = 2
    passes_extra = True
    heads: int
    """Each of which is turned alike."""
    over: tuple[TurningAxis, ...] = ("t", "h", "w")
    """Axes that the turns are of."""

    def out(self, *xs: Shape) -> Shape:
        x, turns = xs
        want = Shape(2 * len(self.over) * turned_channels(x, self.heads, len(self.over)), *x[1:4])
        require(turns == want, "turns of another map", got=turns, want=want)
        return x

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The turns; turned parts stand beside the result that they make."""
        part = self.heads * xs[1].c // 2 * (y.positions - y.extra)
        places = y.c * (y.positions - y.extra) * bool(y.extra)
        return Keeps(reads=(1,), passing=max(part, 3 * part - y.elements, places), passing_back=5 * part // 2)

    def label(self, x: Shape, y: Shape) -> str:
        return f"rotary positions {' + '.join(self.over)}"

    def row(self, x: Shape | None = None) -> str:
        return "rotary positions"

    def torch(self, *xs: Shape) -> Layer:
        needs = runtime("attention.rotary", "turned_by")
        return Layer(f"turned_by({{0}}, {{1}}, {self.heads}{changed_keywords(extra=(xs[0].extra, 0))})", needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        heads = draw.integer(1, 3)
        x = draw.shape()._replace(c=heads * draw.integer(6, 13), extra=draw.integer(0, 2))
        over: tuple[TurningAxis, ...] = draw.choice((("t", "h", "w"), ("w", "h")))
        turns = 2 * len(over) * turned_channels(x, heads, len(over))
        return cls(heads=heads, over=over), (x, Shape(turns, *x[1:4]))
