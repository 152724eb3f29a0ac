"""Key frames: maps over some of the frames, what is carried from a key frame to those behind it, and back into order.

Key frames are 0, n, 2n, ... (TakeEvery); the frames between are here called current.
"""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import COPIED, NOTHING, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.notation import ordinal
from archdsl.ops.receptive_field import Seen, repeated
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class KeyPairs(Op):
    """Each current frame and, behind its channels, the key frame before it.  (c, t, h, w) -> (2c, t - t / every, h, w)

    t must be a multiple of `every`.
    """

    chooses = "pairs"
    every: int
    """Frames from one key frame to the next."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.every >= 2, "key-frame interval below 2", got=f"every {self.every}", want="at least 2")
        require(
            x.t % self.every == 0,
            "frames not divisible by the key-frame interval",
            got=f"{x.t} frame{'s' * (x.t > 1)}, every {self.every} a key frame",
            want=f"a multiple of {self.every}",
            fix=f"{' or '.join(str(n * self.every) for n in (x.t // self.every, x.t // self.every + 1) if n)} frames",
        )
        return Shape(2 * x.c, x.t - x.t // self.every, x.h, x.w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Evenly spaced on average; the last frame before a key frame sees back to the one before that."""
        t, n = grids[0].t, self.every
        return grids[0]._replace(t=Axis(t.step * n / (n - 1), t.start + t.step, t.span + t.step * (n - 1)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return tuple(seen[0][i] | seen[0][i - i % self.every] for i in range(xs[0].t) if i % self.every)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing_back=xs[0].elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"all but every {ordinal(self.every)} frame, with it"

    def row(self, x: Shape | None = None) -> str:
        return f"pairs with key frames, 1 in {self.every}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"key_pairs({{0}}, {self.every})", needs=runtime("keys", "key_pairs"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Frames that fall into intervals."""
        every, x = draw.integer(2, 5), draw.shape(t=3)
        return cls(every=every), (x._replace(t=x.t * every),)


@dataclass(frozen=True, kw_only=True)
class HoldKeys(Op):
    """What key frames have, once for each current frame.  (c, k, h, w), (c', t, h', w') -> (c, t, h, w)"""

    kept = COPIED
    call = "{0}.repeat_interleave({1}.shape[2] // {0}.shape[2], dim=2)"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        held_by(x, like)
        return x._replace(t=like.t)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=grids[1].t)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return repeated(seen[0], y.t // xs[0].t)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), between_keys(draw)


@dataclass(frozen=True, kw_only=True)
class Warp(Op):
    """Each element read where the flow points, between neighbours bilinearly, 0 outside (arXiv:1611.07715, eq. 3).

    (c, t, h, w), flow (2, t, h, w) -> (c, t, h, w). Flow is (x, y) in elements of the map, from where an element is
    written to where it is read. fvcore counts 4 for each element written; there are no multiply-adds.
    """

    causality = "frame"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, flow = xs
        require(flow == (2, *x[1:]), "wrong shape of the flow", got=flow, want=Shape(2, *x[1:]))
        return x

    def cost(self, *xs: Shape) -> Cost:
        return Cost(fvcore_extra=4 * xs[0].elements, activations=xs[0].elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """A flow may point anywhere, so in space it may see all there is."""
        (x, _), (grid, flow) = xs, grids
        h, w = (a._replace(span=a.span + a.step * (n - 1)) for a, n in zip((grid.h, grid.w), x[2:]))
        return Grid(grid.t._replace(span=max(grid.t.span, flow.t.span)), h, w, grid.tick)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Where it reads, two numbers for each place; all frames as images, which copies more than one of each."""
        (x, flow), copied = xs, min(xs[0][:2]) > 1
        return Keeps(reads=() if copied else (0,), own=flow.elements + x.elements * copied)

    def torch(self, *xs: Shape) -> Layer:
        """Bilinear samples of all frames at once."""
        return Layer("warp({0}, {1})", needs=runtime("keys", "pointed_to", "warp"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        return cls(), (x, x._replace(c=2))


@dataclass(frozen=True, kw_only=True)
class Interleave(Op):
    """Key frames and current frames back in order.  (c, k, h, w), (c, (n - 1) k, h, w) -> (c, n k, h, w)"""

    kept = NOTHING
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        x, current = xs
        require(
            (x.c, x.h, x.w) == (current.c, current.h, current.w),
            "key frames and current frames that differ in (c, h, w)",
            got=current,
            want=f"{x.c} channels, {x.h}x{x.w}",
        )
        held_by(x, current)
        return x._replace(t=x.t + current.t)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, current, n = grids[0].t, grids[1].t, xs[1].t // xs[0].t + 1
        h, w = (getattr(grids[1], axis) for axis in "hw")
        return Grid(Axis(t.step / n, t.start, max(t.span, current.span)), h, w, grids[0].tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        keys, current = seen
        n = len(current) // len(keys)
        return tuple(one for i, key in enumerate(keys) for one in (key, *current[i * n : (i + 1) * n]))

    def label(self, x: Shape, y: Shape) -> str:
        return "frames in order"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("interleave({0}, {1})", needs=runtime("keys", "interleave"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), between_keys(draw)


def between_keys(draw: Draw) -> tuple[Shape, Shape]:
    """Maps of key frames and of the frames between them."""
    x, between = draw.shape(t=3), draw.integer(1, 4)
    return x, x._replace(t=x.t * between)


def held_by(keys: Shape, current: Shape) -> None:
    """Every key frame has as many current frames."""
    require(
        current.t % keys.t == 0,
        "current frames not divisible by key frames",
        got=f"{current.t} for {keys.t}",
        want=f"a multiple of {keys.t}",
    )
