"""Proposals of a sequence: for every duration and start what lies between (BMN, arXiv:1907.09702)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import NOTHING
from archdsl.ops.base import Beside, Cost, Op, require
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import CONSTANTS, Argument, Layer, runtime
from archdsl.ops.receptive_field import Seen, everything
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class BoundaryMatch(Op):
    """Samples of every proposal: a product with a fixed matrix.  (c, t, 1, 1) -> (c, samples, durations, t)

    Samples lie along time, durations along h (the first is one step long), starts along w. A proposal is read from
    `margin` of its length before it to as much behind it, at `per_bin` places for each sample, between neighbours
    linearly; what lies outside the sequence is 0, and so is a proposal that runs beyond its end. As the first code
    has it, a place less than one step before the sequence reads its first element. The matrix is no parameter.
    """

    autocast = "half"
    kept = NOTHING
    samples: int = 32
    """Samples of each proposal."""
    per_bin: int = 3
    """Places whose mean is one sample."""
    margin: Fraction = Fraction(1, 2)
    """How far before and behind it a proposal is read, in its lengths."""
    durations: int = 0
    """How many; 0 for as many as there are positions."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.h == x.w == 1, "proposals of a map with height and width", got=x, want="h = w = 1")
        durations = self.durations or x.t
        require(1 <= durations <= x.t, "proposals longer than the sequence", got=durations, want=f"1 to {x.t}")
        bins = f"{self.samples} samples of {self.per_bin}"
        require(
            min(self.samples, self.per_bin) >= 1 and self.samples * self.per_bin > 1,
            "proposals with fewer than two sampled places",
            got=bins,
            want="at least two places",
        )
        require(self.margin >= 0, "`margin` below 0", got=self.margin, want="0 or more")
        return Shape(x.c, self.samples, durations, x.t)

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        y = self.out(x)
        return Cost(matmul_macs=x.t * y.elements, activations=y.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Every axis in steps of the sequence's time. A proposal may lie anywhere, so it may see all there is."""
        t, n = grids[0].t, xs[0].t
        whole = t.span + t.step * (n - 1)
        share = Fraction(n, self.samples)
        samples = Axis(t.step * share, t.start + t.step * (share - 1) / 2, whole)
        return Grid(samples, Axis(t.step, t.step, whole), Axis(t.step, t.start, whole), grids[0].tick)

    def buffers(self, *xs: Shape) -> int:
        """The matrix."""
        return 4 * xs[0].t * self.out(*xs).positions

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def torch(self, *xs: Shape) -> Layer:
        """The matrix is made when the network is."""
        (x,) = xs
        args = (
            Argument("positions", x.t),
            Argument("durations", self.out(x).h),
            Argument("samples", self.samples),
            Argument("per_bin", self.per_bin),
            Argument("margin", float(self.margin)),
        )
        return Layer("{m}({0})", "BoundaryMatch", args, needs=CONSTANTS + runtime("regions.proposals", "BoundaryMatch"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Of a sequence."""
        few = {name: draw.choice((1, 1, 1, 2, 3)) for name in ("samples", "per_bin", "durations")}
        return cls(**random_fields(cls, draw, **few)), (draw.shape(s=1),)


@dataclass(frozen=True, kw_only=True)
class ValidProposals(Beside):
    """A map over durations (h) and starts (w), 0 where a proposal runs beyond the end.  (c, t, d, s) -> (c, t, d, s)

    Valid is what ends within the sequence: duration and start, both from 0, add up to less than s.
    """

    kept = NOTHING

    def torch(self, *xs: Shape) -> Layer:
        """A mask made of the map's own sizes."""
        return Layer("valid_proposals({0})", needs=runtime("regions.proposals", "valid_proposals"))
