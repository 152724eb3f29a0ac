"""All positions as one sequence, tokens first, then frame by frame in rows: a convolution and a scan along it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from operator import or_
from typing import ClassVar

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.receptive_field import Seen, merged
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class AlongSequence(Op):
    """What each position sees: those before it in the sequence, or in reverse those behind it, and itself."""

    autocast: ClassVar = "float32"
    passes_extra = True
    stateful = True
    reverse: bool = False
    """Whether it runs from the last position to the first."""

    @property
    def each_frame(self) -> bool:
        return False

    @property
    def in_order(self) -> bool:
        return not self.reverse

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        axes = zip(grids[0][:3], xs[0][1:4])
        t, h, w = (axis._replace(span=axis.span + axis.step * max(n - 1, 0)) for axis, n in axes)
        return Grid(t, h, w, grids[0].tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        both = merged(*seen)
        return tuple(accumulate(both[::-1], or_))[::-1] if self.reverse else tuple(accumulate(both, or_))

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """Tokens in front come before every frame, and see none."""
        if self.reverse:
            what, fix = "a sequence in reverse, whose first frames see the last", "reverse: false"
            raise SpecError(what, got="a causal network", want="one that runs ahead", fix=fix)
        return (self,)

    def way(self) -> str:
        """Its direction, in words of a drawing."""
        return " in reverse" if self.reverse else ""


@dataclass(frozen=True, kw_only=True)
class SequenceConv(AlongSequence):
    """A depthwise convolution of each position and the `kernel` - 1 before it.  (c, t, h, w, k) -> (c, t, h, w, k)

    Before the first position are zeros. As Mamba's authors run it, `kernel` - 1 results behind the last are made too,
    and left out (arXiv:2312.00752).
    """

    kernel: int = 4
    """Positions that each sees, itself the last."""

    def out(self, *xs: Shape) -> Shape:
        require(self.kernel >= 1, "`kernel` below 1", got=self.kernel, want="at least 1")
        return xs[0]

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c, 1, self.kernel), "bias": (xs[0].c,)}

    def held(self, *xs: Shape) -> int:
        """The positions before the next one."""
        return xs[0].c * (self.kernel - 1)

    def cost(self, *xs: Shape) -> Cost:
        macs = xs[0].c * self.kernel * (xs[0].positions + self.kernel - 1)
        return super().cost(*xs)._replace(conv_macs=macs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(
            own=y.elements,
            passing=(1 + training) * y.elements * self.reverse,
            passing_back=y.elements * (self.reverse or self.kernel > 1),
        )

    def label(self, x: Shape, y: Shape) -> str:
        return f"sequence conv {self.kernel}{self.way()}"

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("channels", xs[0].c),
            Argument("kernel", self.kernel),
            Argument("reverse", self.reverse, False),
        )
        needs = runtime("stream", "Held") + runtime("scans.sequence", "sequence_map", "SequenceConv")
        return Layer("{m}({0})", "SequenceConv", args, needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(kernel=draw.integer(1, 4), reverse=draw.flag()), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class SelectiveScan(AlongSequence):
    """A state of n numbers for each channel, whose steps depend on what is read (arXiv:2312.00752).

    x (c, ...), steps (c, ...), entries (n, ...), exits (n, ...) -> (c, ...), all over the same positions. With
    d = softplus(step), s = exp(-d exp(a)) s + d x entry, and what leaves is the sum of s times exit over n, and x times
    a learnt number. The learnt a starts as log 1 to log n. None of it counts as multiply-adds.
    """

    reads = 4
    PART: ClassVar[int] = 64
    """Positions that are scanned at once."""

    def out(self, *xs: Shape) -> Shape:
        x, steps, entries, exits = xs
        require(steps == x, "steps that are not those of the sequence", got=f"{x} and {steps}", want="equal")
        alike = entries == exits and entries[1:] == x[1:]
        require(alike, "entries and exits of other positions", got=f"{x}, {entries}, {exits}", want="equal but for c")
        return x

    def weights(self, *xs: Shape) -> Weights:
        return {"log_decay": (xs[0].c, xs[2].c), "skip": (xs[0].c,)}

    def held(self, *xs: Shape) -> int:
        """The state behind the last position."""
        return xs[0].c * xs[2].c

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """States of all positions, and what parts of a few steps are put together of."""
        states = y.c * xs[2].c * -(-y.positions // self.PART) * self.PART
        return Keeps(reads=(0, 1, 2, 3), own=18 * states * training, passing=5 * states, passing_back=5 * states)

    def label(self, x: Shape, y: Shape) -> str:
        return f"selective scan{self.way()}"

    def torch(self, *xs: Shape) -> Layer:
        sizes = (Argument("channels", xs[0].c), Argument("states", xs[2].c))
        args = (*sizes, Argument("part", self.PART), Argument("reverse", self.reverse, False))
        needs = runtime("stream", "Held") + runtime("attention.tokens", "token_rows")
        needs += runtime("scans.sequence", "sequence_map", "states_of", "SelectiveScan")
        return Layer("{m}({0}, {1}, {2}, {3})", "SelectiveScan", args, needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape(t=3, s=4)._replace(extra=draw.integer(0, 2))
        terms = x._replace(c=draw.integer(1, 3))
        return cls(reverse=draw.flag()), (x, x, terms, terms)
