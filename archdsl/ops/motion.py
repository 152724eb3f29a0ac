"""Frames against their neighbours: shifts, differences, kernels over time that a clip makes for itself."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import ClassVar

from archdsl.ops.base import Axis, Cost, Grid, Op, Shape, require
from archdsl.ops.merge import of_one_shape
from archdsl.ops.segments import OverTime


def further(grid: Grid, elements: int) -> Grid:
    """A grid whose elements see so many more of their neighbours in time."""
    return grid._replace(t=grid.t._replace(span=grid.t.span + grid.t.step * elements))


def whole_time(x: Shape, grid: Grid) -> Axis:
    """The axis of a map each of whose elements sees all frames."""
    return grid.t._replace(span=grid.t.span + grid.t.step * (x.t - 1))


@dataclass(frozen=True, kw_only=True)
class TimeShift(Op):
    """One channel in `share` from the next frame, as many from the frame before, the rest stays (arXiv:1811.08383).

    Beyond the clip's ends there are zeros. With `past_only` the first channels come from the frame before and none
    from the next. (c, t, h, w) -> (c, t, h, w)
    """

    share: int = 8
    past_only: bool = False

    def out(self, *xs: Shape) -> Shape:
        require(
            self.share >= 2,
            "more channels shifted than there are",
            got=f"1 / {self.share} each way",
            want="at most half",
        )
        return xs[0]

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return further(grids[0], 1 if self.past_only else 2)


@dataclass(frozen=True, kw_only=True)
class FrameStep(Op):
    """The second map one frame later (`by` 1) or earlier (-1), minus the first; zeros where there is no such frame.

    (c, t, h, w), (c, t, h, w) -> (c, t, h, w)
    """

    reads: ClassVar[int | None] = 2
    merges: ClassVar[bool] = True
    by: int = 1

    def out(self, *xs: Shape) -> Shape:
        require(self.by in (1, -1), "a step that is not to the next frame", got=self.by, want="1 or -1")
        return of_one_shape("difference", xs)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,) * 2

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return further(grids[0], 1)._replace(h=grids[1].h, w=grids[1].w)


@dataclass(frozen=True, kw_only=True)
class SnippetSteps(Op):
    """Within each snippet of `length` frames, every frame but the first minus the one before it.

    (c, n length, h, w) -> (c, n (length - 1), h, w)
    """

    length: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.length >= 2, "differences within single frames", got=self.length, want="at least 2")
        got = f"{x.t} frame{'s' * (x.t > 1)} in snippets of {self.length}"
        require(x.t % self.length == 0, "frames that do not fall into snippets", got=got, want="no rest")
        return x._replace(t=x.t // self.length * (self.length - 1))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        step = t.step * self.length / (self.length - 1)
        # the middle of a snippet stays where it is
        start = t.start + (t.step * (self.length - 1) - step * (self.length - 2)) / 2
        return grids[0]._replace(t=Axis(step, start, t.span + t.step))


@dataclass(frozen=True, kw_only=True)
class SetFrame(Op):
    """One frame overwritten by a number; frames count from 0, from the end below.  (c, t, h, w) -> (c, t, h, w)"""

    frame: int = -1
    value: float = 1.0

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(-x.t <= self.frame < x.t, "no such frame", got=self.frame, want=f"{-x.t} to {x.t - 1}")
        return x

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,)


@dataclass(frozen=True, kw_only=True)
class SwapTime(Op):
    """Channels as time and time as channels.  (c, t, h, w) -> (t, c, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(x.t, x.c, x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=whole_time(xs[0], grids[0]))


@dataclass(frozen=True, kw_only=True)
class OwnTimeConv(Op):
    """Each channel convolved in time with a kernel that the clip made for it, zeros beyond the ends.

    (c, t, h, w), kernels (c, k, 1, 1) -> (c, t, h, w); k odd. Counted as a convolution.
    """

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        x, kernels = xs
        want = f"({x.c}, k, 1, 1)"
        require((kernels.c, kernels.h, kernels.w) == (x.c, 1, 1), "kernels of another form", got=kernels, want=want)
        require(kernels.t % 2 == 1, "an even kernel where the frames stay", got=kernels.t, want="an odd kernel")
        return x

    def cost(self, *xs: Shape) -> Cost:
        x, kernels = xs
        return Cost(conv_macs=kernels.t * x.elements, activations=x.elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid = further(grids[0], xs[1].t - 1)
        return grid._replace(t=grid.t._replace(span=max(grid.t.span, grids[1].t.span)))


@dataclass(frozen=True, kw_only=True)
class OwnTimeShift(Op):
    """Groups of channels moved in time by offsets that the clip made, between frames by linear interpolation.

    y_t = x_(t - offset), zeros beyond the ends.  (c, t, h, w), offsets (groups, 1, 1, 1) -> (c, t, h, w)
    """

    reads: ClassVar[int | None] = 2

    def out(self, *xs: Shape) -> Shape:
        x, offsets = xs
        require(offsets.positions == 1, "offsets of several positions", got=offsets, want="(groups, 1, 1, 1)")
        got = f"{x.c}, groups={offsets.c}"
        require(x.c % offsets.c == 0, "channels that do not fall into groups", got=got, want="no rest")
        return x

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=whole_time(xs[0], grids[0]))


@dataclass(frozen=True, kw_only=True)
class FrameTuples(Op):
    """Up to `count` choices of `size` frames in order, each with its frames side by side as channels.

    Channel i c + j of a choice is channel j of its i-th frame. In training the choices are drawn anew each time, else
    they are spread evenly over all there are.  (c, t, h, w) -> (size c, min(count, choices), h, w)
    """

    size: int
    count: int = 3

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        got = f"{self.size} of {x.t}"
        require(1 <= self.size <= x.t, "more frames chosen than there are", got=got, want=f"1 to {x.t}")
        require(x.t <= 16, "too many frames to list their choices", got=x.t, want="at most 16")
        require(self.count >= 1, "no choice of frames", got=self.count, want="at least 1")
        return Shape(self.size * x.c, min(self.count, comb(x.t, self.size)), x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid, (x,) = grids[0], xs
        t = whole_time(x, grid)
        return grid._replace(t=t._replace(step=t.step * Fraction(x.t, self.out(x).t)))


@dataclass(frozen=True, kw_only=True)
class SumOverTime(OverTime):
    """The sum over all frames.  (c, t, h, w) -> (c, 1, h, w)"""
