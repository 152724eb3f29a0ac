"""Which frames, and frames into channels. No parameters, no arithmetic, but for differences and grey."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.base import Axis, Grid, Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class TakeEvery(Op):
    """Frames start, start + step, ...  (c, t, h, w) -> (c, t / step, h, w); t must be a multiple of step."""

    step: int
    start: int = 0

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.step >= 1, "a frame step below 1", got=self.step, want="at least 1")
        require(
            0 <= self.start < self.step, "a first frame outside the step", got=self.start, want=f"0 to {self.step - 1}"
        )
        require(
            x.t % self.step == 0,
            "no whole number of frames",
            got=f"{x.t} frame{'s' * (x.t > 1)} taken every {self.step}",
            want=f"a multiple of {self.step}",
            fix=f"{' or '.join(str(n * self.step) for n in (x.t // self.step, x.t // self.step + 1) if n)} frames",
        )
        return x._replace(t=x.t // self.step)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=Axis(t.step * self.step, t.start + t.step * self.start, t.span))


@dataclass(frozen=True, kw_only=True)
class TakeChosen(Op):
    """`count` frames chosen by `frames(t)`.  (c, t, h, w) -> (c, count, h, w)

    The chosen frames may be unevenly spaced: the grid's step is t / count, its start puts the centres together.
    """

    count: int

    def frames(self, t: int) -> tuple[int, ...]:
        """The frames chosen from t."""
        raise NotImplementedError

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            1 <= self.count <= x.t,
            "more frames chosen than there are",
            got=f"{self.count} of {x.t}",
            want=f"1 to {x.t}",
        )
        return x._replace(t=self.count)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, n = grids[0].t, xs[0].t
        step = Fraction(n, self.count)
        centre = Fraction(sum(self.frames(n)), self.count) - step * (self.count - 1) / 2
        return grids[0]._replace(t=Axis(t.step * step, t.start + t.step * centre, t.span))


@dataclass(frozen=True, kw_only=True)
class TakeLinspace(TakeChosen):
    """`count` frames from first to last, evenly spaced, truncated.  (c, t, h, w) -> (c, count, h, w)

    PySlowFast chooses so.
    4 of 32 are frames 0, 10, 20 and 31: not every eighth frame.
    """

    def frames(self, t: int) -> tuple[int, ...]:
        if self.count == 1:
            return (0,)
        return tuple(i * (t - 1) // (self.count - 1) for i in range(self.count))


@dataclass(frozen=True, kw_only=True)
class TakeSegments(TakeChosen):
    """The middle frame of each of `count` equal parts.  (c, t, h, w) -> (c, count, h, w)

    TSN tests so (arXiv:1608.00859).
    """

    def frames(self, t: int) -> tuple[int, ...]:
        return tuple((2 * i + 1) * t // (2 * self.count) for i in range(self.count))


@dataclass(frozen=True, kw_only=True)
class RepeatFrames(Op):
    """Every frame several times in a row.  (c, t, h, w) -> (c, t times, h, w)"""

    times: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.times >= 1, "frames repeated less than once", got=self.times, want="at least 1")
        return x._replace(t=x.t * self.times)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(step=t.step / self.times))


@dataclass(frozen=True, kw_only=True)
class TimeToChannels(Op):
    """`factor` neighbouring frames packed into channels.  (c, factor t, h, w) -> (c factor, t, h, w)

    Channel c of frame i in the pack becomes channel c * factor + i. The place of a pack is its first frame's.
    """

    factor: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.factor >= 1, "frames packed by less than 1", got=self.factor, want="at least 1")
        require(
            x.t % self.factor == 0,
            "frames that do not fall into packs",
            got=f"{x.t} frame{'s' * (x.t > 1)} in packs of {self.factor}",
            want="no rest",
        )
        return Shape(x.c * self.factor, x.t // self.factor, x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, k = grids[0].t, self.factor
        return grids[0]._replace(t=Axis(t.step * k, t.start, t.span + t.step * (k - 1)))


@dataclass(frozen=True, kw_only=True)
class FrameDifference(Op):
    """Each frame minus the one before it, the first minus itself.  (c, t, h, w) -> (c, t, h, w)"""

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(span=t.span + t.step))

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,)


@dataclass(frozen=True, kw_only=True)
class Gray(Op):
    """Red, green and blue to luma by fixed weights (ITU-R BT.601).  (3, t, h, w) -> (1, t, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.c == 3, "grey of a map that has not three channels", got=f"c={x.c}", want="c=3")
        return x._replace(c=1)
