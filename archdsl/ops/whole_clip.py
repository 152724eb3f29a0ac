"""Frames by what the whole clip says: kernels and shifts that it makes for itself, choices of frames, sums."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb

from archdsl.ops.autograd import INPUTS, RESHAPED, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Layer, runtime
from archdsl.ops.motion import further
from archdsl.ops.receptive_field import Seen, around, everything, merged, union
from archdsl.ops.segments import OverTime
from archdsl.ops.shape import Shape


def whole_time(x: Shape, grid: Grid) -> Axis:
    """The axis of a map each of whose elements sees all frames."""
    return grid.t._replace(span=grid.t.span + grid.t.step * (x.t - 1))


@dataclass(frozen=True, kw_only=True)
class SwapTime(Op):
    """Channels as time and time as channels.  (c, t, h, w) -> (t, c, h, w)"""

    kept = RESHAPED
    call = "{0}.transpose(1, 2)"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(x.t, x.c, x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=whole_time(xs[0], grids[0]))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)


@dataclass(frozen=True, kw_only=True)
class OwnTimeConv(Op):
    """Each channel convolved in time with a kernel that the clip made for it, zeros beyond the ends.

    (c, t, h, w), kernels (c, k, 1, 1) -> (c, t, h, w); k odd. Counted as a convolution.
    """

    autocast = "half"
    kept = INPUTS
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, kernels = xs
        want = f"({x.c}, k, 1, 1)"
        require((kernels.c, kernels.h, kernels.w) == (x.c, 1, 1), "wrong shape of the kernels", got=kernels, want=want)
        require(
            kernels.t % 2 == 1, "even kernel where the number of frames must stay", got=kernels.t, want="an odd kernel"
        )
        return x

    def cost(self, *xs: Shape) -> Cost:
        x, kernels = xs
        return Cost(conv_macs=kernels.t * x.elements, activations=x.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid = further(grids[0], xs[1].t - 1)
        return grid._replace(t=grid.t._replace(span=max(grid.t.span, grids[1].t.span)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(around(seen[0], xs[1].t // 2), (union(seen[1]),))

    def torch(self, *xs: Shape) -> Layer:
        """One convolution for all clips and channels."""
        return Layer("own_time_conv({0}, {1})", needs=runtime("flows.motion", "own_time_conv"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """An odd kernel for each channel."""
        x = draw.shape()
        return cls(), (x, Shape(x.c, draw.choice((1, 3, 5)), 1, 1))


@dataclass(frozen=True, kw_only=True)
class OwnTimeShift(Op):
    """Groups of channels moved in time by offsets that the clip made, between frames by linear interpolation.

    y_t = x_(t - offset), zeros beyond the ends.  (c, t, h, w), offsets (groups, 1, 1, 1) -> (c, t, h, w)
    """

    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, offsets = xs
        require(offsets.positions == 1, "wrong shape of the offsets", got=offsets, want="(groups, 1, 1, 1)")
        got, want = f"{x.c}, groups={offsets.c}", f"a multiple of {offsets.c}"
        require(x.c % offsets.c == 0, "channels not divisible by groups", got=got, want=want)
        return x

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=whole_time(xs[0], grids[0]))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """What is gathered for the two frames around each place, to learn where that is."""
        return Keeps(own=2 * y.elements, passing=2 * y.elements, passing_back=2 * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        """The two frames around each place, weighted."""
        return Layer("own_time_shift({0}, {1})", needs=runtime("flows.motion", "own_time_shift"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Channels that fall into groups, and an offset for each."""
        x, groups = draw.shape(), draw.integer(1, 4)
        return cls(), (x._replace(c=x.c * groups), Shape(groups, 1, 1, 1))


@dataclass(frozen=True, kw_only=True)
class FrameTuples(Op):
    """Up to `count` choices of `size` frames in order, each with its frames side by side as channels.

    Channel i c + j of a choice is channel j of its i-th frame. In training the choices are drawn anew each time, else
    they are spread evenly over all there are.  (c, t, h, w) -> (size c, min(count, choices), h, w)
    """

    size: int
    """Frames of a choice."""
    count: int = 3
    """Most choices that are made."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        got = f"{self.size} of {x.t}"
        require(1 <= self.size <= x.t, "more frames selected than there are", got=got, want=f"1 to {x.t}")
        require(x.t <= 16, "too many frames to enumerate their subsets", got=x.t, want="at most 16")
        require(self.count >= 1, "number of subsets below 1", got=self.count, want="at least 1")
        return Shape(self.size * x.c, min(self.count, comb(x.t, self.size)), x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid, (x,) = grids[0], xs
        t = whole_time(x, grid)
        return grid._replace(t=t._replace(step=t.step * Fraction(x.t, self.out(x).t)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=y.elements, passing_back=xs[0].elements * (y.t > 1))

    def torch(self, *xs: Shape) -> Layer:
        """Choices listed when the network is made."""
        args = (Argument("frames", xs[0].t), Argument("size", self.size), Argument("count", self.count))
        return Layer("{m}({0})", "FrameTuples", args, needs=runtime("flows.motion", "FrameTuples"))


@dataclass(frozen=True, kw_only=True)
class SumOverTime(OverTime):
    """The sum over all frames.  (c, t, h, w) -> (c, 1, h, w)"""

    kept = Keeps(gradient="part")
    call = "{0}.sum(dim=2, keepdim=True)"
