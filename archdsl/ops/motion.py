"""Frames against their neighbours: shifts and differences."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.merge import common_shape
from archdsl.ops.receptive_field import Seen, earlier, later, merged
from archdsl.ops.shape import Shape
from archdsl.ops.stream import PastShift


def further(grid: Grid, elements: int) -> Grid:
    """A grid whose elements see so many more of their neighbours in time."""
    return grid._replace(t=grid.t._replace(span=grid.t.span + grid.t.step * elements))


@dataclass(frozen=True, kw_only=True)
class TimeShift(Op):
    """One channel in `share` from the next frame, as many from the frame before, the rest stays (arXiv:1811.08383).

    Beyond the clip's ends there are zeros. With `past_only` the first channels come from the frame before and none
    from the next. (c, t, h, w) -> (c, t, h, w)
    """

    share: int = 8
    """One channel in so many comes from each neighbour."""
    past_only: bool = False
    """Whether channels come from the frame before only."""

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

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], earlier(seen[0]), () if self.past_only else later(seen[0]))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        moved = y.c // self.share * (1 if self.past_only else 2) * y.positions
        return Keeps(passing=moved, passing_back=y.elements + moved)

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (PastShift(share=self.share),)

    def torch(self, *xs: Shape) -> Layer:
        if self.past_only:
            return Layer(f"past_shift({{0}}, {self.share})", needs=runtime("flows.motion", "earlier", "past_shift"))
        return Layer(
            f"time_shift({{0}}, {self.share})", needs=runtime("flows.motion", "later", "earlier", "time_shift")
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(share=draw.integer(2, 8), past_only=draw.flag()), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class FrameStep(Op):
    """The second map one frame later (`by` 1) or earlier (-1), minus the first; zeros where there is no such frame.

    (c, t, h, w), (c, t, h, w) -> (c, t, h, w)
    """

    reads = 2
    merges = True
    by: int = 1
    """1: the second map one frame later; -1: one earlier."""

    def out(self, *xs: Shape) -> Shape:
        require(self.by in (1, -1), "`by` is not one frame", got=self.by, want="1 or -1")
        return common_shape("difference", xs)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,) * 2

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return further(grids[0], 1)._replace(h=grids[1].h, w=grids[1].w)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], later(seen[1]) if self.by == 1 else earlier(seen[1]))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        steps = y.elements - y.elements // y.t
        return Keeps(passing=steps, passing_back=steps)

    def torch(self, *xs: Shape) -> Layer:
        step = "step_ahead" if self.by == 1 else "step_back"
        return Layer(f"{step}({{0}}, {{1}})", needs=runtime("flows.motion", step))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(by=draw.choice((1, -1))), (draw.shape(),) * 2


@dataclass(frozen=True, kw_only=True)
class SnippetSteps(Op):
    """Within each snippet of `length` frames, every frame but the first minus the one before it.

    (c, n length, h, w) -> (c, n (length - 1), h, w)
    """

    length: int
    """Frames of a snippet; the map's are a multiple of it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.length >= 2, "snippets of a single frame", got=self.length, want="at least 2")
        got = f"{x.t} frame{'s' * (x.t > 1)} in snippets of {self.length}"
        require(
            x.t % self.length == 0, "frames not divisible into snippets", got=got, want=f"a multiple of {self.length}"
        )
        return x._replace(t=x.t // self.length * (self.length - 1))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        step = t.step * self.length / (self.length - 1)
        # the middle of a snippet stays where it is
        start = t.start + (t.step * (self.length - 1) - step * (self.length - 2)) / 2
        return grids[0]._replace(t=Axis(step, start, t.span + t.step))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(seen[0][i] | seen[0][i - 1] for i in range(xs[0].t) if i % self.length)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing_back=xs[0].elements + y.elements)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(2, (-1, {self.length})).diff(dim=3).flatten(2, 3)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Frames that fall into snippets."""
        x, length = draw.shape(t=3), draw.integer(2, 5)
        return cls(length=length), (x._replace(t=x.t * length),)


@dataclass(frozen=True, kw_only=True)
class SetFrame(Beside):
    """One frame overwritten by a number; frames count from 0, from the end below.  (c, t, h, w) -> (c, t, h, w)"""

    kept = NOTHING
    frame: int = -1
    """Which frame, from 0; below 0 from the end."""
    value: float = 1.0
    """The number it is overwritten by."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(-x.t <= self.frame < x.t, "frame out of range", got=self.frame, want=f"{-x.t} to {x.t - 1}")
        return x

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"set_frame({{0}}, {self.frame}, {self.value})", needs=runtime("flows.motion", "set_frame"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(frame=draw.integer(-3, 3), value=draw.choice((0.0, 1.0))), (draw.shape(),)
