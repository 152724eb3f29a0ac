"""Which frames, and frames into channels. No parameters, no arithmetic, but for differences and grey."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import COPIED, INDEX, NOTHING, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import CONSTANTS, Argument, Layer, runtime
from archdsl.ops.notation import ordinal
from archdsl.ops.receptive_field import Seen, merged, repeated, union
from archdsl.ops.shape import Shape


def grid_of_groups(grid: Grid, factor: int) -> Grid:
    """The grid of groups of neighbouring frames, each at the place of its first."""
    t = grid.t
    return grid._replace(t=Axis(t.step * factor, t.start, t.span + t.step * (factor - 1)))


def seen_by_groups(seen: Seen, factor: int, count: int) -> Seen:
    """What each group of neighbouring frames has seen."""
    return tuple(union(seen[i * factor : (i + 1) * factor]) for i in range(count))


@dataclass(frozen=True, kw_only=True)
class TakeEvery(Op):
    """Frames start, start + step, ...  (c, t, h, w) -> (c, t / step, h, w); t must be a multiple of step."""

    chooses = "frames"
    causality = "past"
    kept = RESHAPED
    step: int
    """Frames from one taken to the next."""
    start: int = 0
    """The first frame taken, from 0."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.step >= 1, "frame step below 1", got=self.step, want="at least 1")
        require(
            0 <= self.start < self.step,
            "first frame outside the frame step",
            got=self.start,
            want=f"0 to {self.step - 1}",
        )
        require(
            x.t % self.step == 0,
            "frames not divisible by the frame step",
            got=f"{x.t} frame{'s' * (x.t > 1)} taken every {self.step}",
            want=f"a multiple of {self.step}",
            fix=f"{' or '.join(str(n * self.step) for n in (x.t // self.step, x.t // self.step + 1) if n)} frames",
        )
        return x._replace(t=x.t // self.step)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=Axis(t.step * self.step, t.start + t.step * self.start, t.span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0][self.start :: self.step]

    def label(self, x: Shape, y: Shape) -> str:
        return f"every {ordinal(self.step)} frame" + (f" from {self.start}" if self.start else "")

    def row(self, x: Shape | None = None) -> str:
        return f"stride {self.step}, 1²"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, :, {self.start or ''}::{self.step}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A frame step that divides the frames."""
        step, x = draw.integer(1, 4), draw.shape()
        return cls(step=step, start=draw.integer(0, step - 1)), (x._replace(t=x.t * step),)


@dataclass(frozen=True, kw_only=True)
class TakeChosen(Op):
    """`count` frames chosen by `frames(t)`.  (c, t, h, w) -> (c, count, h, w)

    The chosen frames may be unevenly spaced: the grid's step is t / count, its start puts the centres together.
    """

    chooses = "frames"
    causality = "past"
    kept = NOTHING
    count: int
    """How many frames are taken."""

    def frames(self, t: int) -> tuple[int, ...]:
        """The frames chosen from t."""
        raise NotImplementedError

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            1 <= self.count <= x.t,
            "more frames selected than there are",
            got=f"{self.count} of {x.t}",
            want=f"1 to {x.t}",
        )
        return x._replace(t=self.count)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, n = grids[0].t, xs[0].t
        step = Fraction(n, self.count)
        centre = Fraction(sum(self.frames(n)), self.count) - step * (self.count - 1) / 2
        return grids[0]._replace(t=Axis(t.step * step, t.start + t.step * centre, t.span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(seen[0][i] for i in self.frames(xs[0].t))

    def buffers(self, *xs: Shape) -> int:
        return INDEX * self.count

    def torch(self, *xs: Shape) -> Layer:
        chosen = (Argument("numbers", self.frames(xs[0].t)),)
        return Layer("{m}({0})", "ChosenFrames", chosen, needs=CONSTANTS + runtime("chosen", "ChosenFrames"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """At most as many frames as there are."""
        x = draw.shape(t=40)
        return cls(count=draw.integer(1, x.t)), (x,)


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

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.count} frames, first to last"


@dataclass(frozen=True, kw_only=True)
class TakeSegments(TakeChosen):
    """The middle frame of each of `count` equal parts.  (c, t, h, w) -> (c, count, h, w)

    TSN tests so (arXiv:1608.00859).
    """

    def frames(self, t: int) -> tuple[int, ...]:
        return tuple((2 * i + 1) * t // (2 * self.count) for i in range(self.count))

    def label(self, x: Shape, y: Shape) -> str:
        return f"middles of {self.count} segments"


@dataclass(frozen=True, kw_only=True)
class RepeatFrames(Op):
    """Every frame several times in a row, or (`whole`) the clip again and again.  (c, t, h, w) -> (c, t times, h, w)

    A clip that comes again is placed as if its frames were evenly spread over the time it took once.
    """

    kept = COPIED
    times: int
    """How many times each frame stands in a row."""
    whole: bool = False
    """Whether the whole clip is repeated, not each frame."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.times >= 1, "frame repeats below 1", got=self.times, want="at least 1")
        return x._replace(t=x.t * self.times)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, step = grids[0].t, grids[0].t.step / self.times
        spread = ((xs[0].t - 1) * t.step - (xs[0].t * self.times - 1) * step) / 2
        return grids[0]._replace(t=t._replace(step=step, start=t.start + spread * self.whole))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0] * self.times if self.whole else repeated(seen[0], self.times)

    def label(self, x: Shape, y: Shape) -> str:
        return self.row()

    def row(self, x: Shape | None = None) -> str:
        return f"{'all frames' if self.whole else 'each frame'} {self.times} times"

    def torch(self, *xs: Shape) -> Layer:
        if self.whole:
            return Layer(f"{{0}}.repeat(1, 1, {self.times}, 1, 1)")
        return Layer(f"{{0}}.repeat_interleave({self.times}, dim=2)")


@dataclass(frozen=True, kw_only=True)
class TimeToChannels(Op):
    """`factor` neighbouring frames packed into channels.  (c, factor t, h, w) -> (c factor, t, h, w)

    Channel c of frame i in the pack becomes channel c * factor + i. The place of a pack is its first frame's.
    """

    factor: int
    """Frames packed into one."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.factor >= 1, "frames per pack below 1", got=self.factor, want="at least 1")
        require(
            x.t % self.factor == 0,
            "frames not divisible into packs",
            got=f"{x.t} frame{'s' * (x.t > 1)} in packs of {self.factor}",
            want=f"a multiple of {self.factor}",
        )
        return Shape(x.c * self.factor, x.t // self.factor, x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grid_of_groups(grids[0], self.factor)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen_by_groups(seen[0], self.factor, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Nothing moves in packs of one frame, nor in one pack."""
        return RESHAPED if self.factor in (1, xs[0].t) else NOTHING

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.factor} frames to channels"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(2, (-1, {self.factor})).movedim(3, 2).flatten(1, 2)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Frames that fall into packs."""
        factor, x = draw.integer(1, 4), draw.shape()
        return cls(factor=factor), (x._replace(t=x.t * factor),)


@dataclass(frozen=True, kw_only=True)
class FrameDifference(Op):
    """Each frame minus the one before it, the first minus itself.  (c, t, h, w) -> (c, t, h, w)"""

    causality = "past"
    call = "{0} - torch.cat([{0}[:, :, :1], {0}[:, :, :-1]], dim=2)"

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(span=t.span + t.step))

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return (xs[0].t > 1,)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], (seen[0][0], *seen[0][:-1]))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=y.elements, passing_back=2 * y.elements)


@dataclass(frozen=True, kw_only=True)
class Gray(Op):
    """Red, green and blue to luma by fixed weights (ITU-R BT.601).  (3, t, h, w) -> (1, t, h, w)"""

    causality = "frame"
    call = "0.299 * {0}[:, 0:1] + 0.587 * {0}[:, 1:2] + 0.114 * {0}[:, 2:3]"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.c == 3, "gray of a map without three channels", got=f"c={x.c}", want="c=3")
        return x._replace(c=1)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=2 * y.elements, passing_back=xs[0].elements + y.elements)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape()._replace(c=3),)
