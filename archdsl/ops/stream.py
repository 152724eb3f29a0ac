"""What a stream needs: frames that came before, means so far, the newest frame. What they hold is their state."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.ops.autograd import NOTHING, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Layer, runtime
from archdsl.ops.receptive_field import Seen, earlier, merged
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Held(Op):
    """An op that holds something between the frames of a stream."""

    stateful = True


@dataclass(frozen=True, kw_only=True)
class Past(Held):
    """The `frames` that came before, then the map; before a clip's first frame all is 0, or where `lowest` -infinity.

    (c, t, h, w) -> (c, frames + t, h, w). A window over it that pads nothing sees the past only. The start moves back
    by half of the frames, so that what such a window gives lies where its newest frame does.
    """

    kept = NOTHING
    frames: int
    """Frames held of the past."""
    lowest: bool = False
    """Whether -infinity stands before the first frame; else 0."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.frames >= 1, "`frames` below 1", got=self.frames, want="at least 1")
        return x._replace(t=x.t + self.frames)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(start=t.start - t.step * Fraction(self.frames, 2)))

    def held(self, *xs: Shape) -> int:
        x = xs[0]
        return x.c * self.frames * x.h * x.w

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (0,) * self.frames + seen[0]

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("frames", self.frames), Argument("lowest", self.lowest, False))
        return Layer("{m}({0})", "Past", args, needs=runtime("stream", "Held", "Past"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Zeros in front: -infinity is for the largest of a window."""
        return cls(frames=draw.integer(1, 4)), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class PastShift(Held):
    """One channel in `share` from the frame before, before the first zeros (TSM online).  (c, t, h, w) -> same"""

    share: int = 8
    """One channel in so many comes from the frame before."""

    def out(self, *xs: Shape) -> Shape:
        require(self.share >= 1, "more channels shifted than there are", got=f"1 / {self.share}", want="at most all")
        return xs[0]

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(span=t.span + t.step))

    def held(self, *xs: Shape) -> int:
        x = xs[0]
        return x.c // self.share * x.h * x.w

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return merged(seen[0], earlier(seen[0]))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        moved = y.c // self.share * y.h * y.w
        return Keeps(passing=moved * (y.t + 1), passing_back=y.elements * (self.share > 1) + moved * y.t)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("share", self.share),)
        return Layer("{m}({0})", "PastShift", args, needs=runtime("stream", "Held", "PastShift"))


@dataclass(frozen=True, kw_only=True)
class MeanSoFar(Held):
    """Each frame the mean of all frames up to it.  (c, t, h, w) -> (c, t, h, w)"""

    def held(self, *xs: Shape) -> int:
        x = xs[0]
        return x.c * x.h * x.w

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=y.elements, passing_back=3 * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        """A running sum and its count."""
        return Layer("{m}({0})", "MeanSoFar", needs=runtime("stream", "Held", "MeanSoFar"))


@dataclass(frozen=True, kw_only=True)
class NewestFrame(Op):
    """The last frame.  (c, t, h, w) -> (c, 1, h, w)"""

    causality = "past"
    newest = True
    kept = RESHAPED
    call = "{0}[:, :, -1:]"

    def out(self, *xs: Shape) -> Shape:
        return xs[0]._replace(t=1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, n = grids[0].t, xs[0].t
        return grids[0]._replace(t=Axis(t.step * n, t.start + t.step * (n - 1), t.span))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0][-1:]
