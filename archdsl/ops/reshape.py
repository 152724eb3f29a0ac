"""Other sizes for the same content."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from archdsl.ops.autograd import COPIED, NOTHING, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer
from archdsl.ops.notation import area, triple
from archdsl.ops.pool import pooled_to
from archdsl.ops.receptive_field import Seen, adaptive_windows, interpolated
from archdsl.ops.shape import Shape
from archdsl.ops.stream import NewestFrame

Interpolation = Literal["nearest", "trilinear"]
EXAMPLE_SCALES = (Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(2))
"""Of random examples."""


@dataclass(frozen=True, kw_only=True)
class Flatten(Op):
    """All elements as channels, ordered c, t, h, w.  (c, t, h, w) -> (c t h w, 1, 1, 1)"""

    kept = RESHAPED
    call = "{0}.flatten(1)[:, :, None, None, None]"

    def out(self, *xs: Shape) -> Shape:
        return Shape(xs[0].elements, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


@dataclass(frozen=True, kw_only=True)
class FlattenSpace(Op):
    """The elements of each frame as channels, ordered c, h, w.  (c, t, h, w) -> (c h w, t, 1, 1)"""

    causality = "frame"
    call = "{0}.movedim(2, -1).flatten(1, 3)[..., None, None]"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(x.c * x.h * x.w, x.t, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return RESHAPED if xs[0].t == 1 else COPIED


@dataclass(frozen=True, kw_only=True)
class Vector(Op):
    """One position becomes none: what leaves the network is (n, c).  (c, 1, 1, 1) -> (c,)"""

    kept = RESHAPED
    call = "{0}.flatten(1)"
    shown = "never"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.positions == 1, "more than one position left", got=x, want="t = h = w = 1")
        return x

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return (y.c,)

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return NewestFrame(), self

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape(t=1, s=1),)


@dataclass(frozen=True, kw_only=True)
class Series(Op):
    """Places in space become none: what leaves the network is (n, c, t).  (c, t, 1, 1) -> (c, t)"""

    causality = "frame"
    kept = RESHAPED
    call = "{0}.flatten(2)"

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.h == x.w == 1, "more than one position per frame", got=x, want="h = w = 1")
        return x

    def tensor(self, y: Shape) -> tuple[int, ...]:
        return (y.c, y.t)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape(s=1),)


@dataclass(frozen=True, kw_only=True)
class Resize(Op):
    """Interpolation by a scale per axis.  (c, t, h, w) -> (c, t st, h sh, w sw), rounded down"""

    kept = NOTHING
    scale: tuple[Fraction, Fraction, Fraction]
    """Factors of (t, h, w)."""
    mode: Interpolation = "nearest"
    """The nearest element, or linear between neighbours."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(min(self.scale) > 0, "a scale that is not positive", got=self.scale, want="above 0")
        t, h, w = (int(n * s) for n, s in zip(x[1:], self.scale))
        require(min(t, h, w) >= 1, "empty result of the resize", got=(t, h, w), want="at least 1 along each axis")
        return Shape(x.c, t, h, w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return resized(self.out(*xs), xs[0], grids[0], self.mode)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen_resized(self.mode, seen[0], y.t)

    def label(self, x: Shape, y: Shape) -> str:
        return f"resize to {area(*y[1:])}"

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,) if self.scale[0] == 1 else super().causal(*xs)

    def row(self, x: Shape | None = None) -> str:
        return f"resize {triple(*self.scale)}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.interpolate({{0}}, size={tuple(self.out(*xs)[1:])}, {torch_mode(self.mode)})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        scale = tuple(draw.choice(EXAMPLE_SCALES) for _ in "thw")
        return cls(**random_fields(cls, draw, scale=scale)), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class ResizeTo(Op):
    """Interpolation to the size of a second map.  (c, t, h, w), (c', t', h', w') -> (c, t', h', w')"""

    reads_size = True
    kept = NOTHING
    reads = 2
    mode: Interpolation = "nearest"
    """The nearest element, or linear between neighbours."""
    onto: bool = False
    """Whether the result lies where the second map does, though a pool before it may have dropped a border."""

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        return Shape(x.c, *like[1:])

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        own = resized(self.out(*xs), xs[0], grids[0], self.mode)
        if not self.onto:
            return own
        t, h, w = (there._replace(span=here.span) for here, there in zip(own[:3], grids[1][:3]))
        return Grid(t, h, w, grids[1].tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen_resized(self.mode, seen[0], y.t)

    def label(self, x: Shape, y: Shape) -> str:
        return f"resize to {area(*y[1:])}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.interpolate({{0}}, size={{1}}.shape[2:], {torch_mode(self.mode)})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(**random_fields(cls, draw)), (draw.shape(), draw.shape())


@dataclass(frozen=True, kw_only=True)
class CropTo(Op):
    """Rows and columns, as many as a second map has.  (c, t, h, w), (c', t', h', w') -> (c, t, h', w')

    They are those from `offset` on, or those in the middle. `over` thw frames as well.
    """

    reads_size = True
    causality = "frame"
    reads = 2
    over: Literal["hw", "thw"] = "hw"
    """The axes cut: rows and columns, or frames as well."""
    offset: int | Literal["middle"] = 0
    """Rows and columns left out before them, or as many before as behind, of an odd number one more behind."""

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        sizes = {axis: getattr(like, axis) for axis in self.over}
        before = self.before(x, like)
        fits = all(before["thw".index(axis)] + n <= getattr(x, axis) for axis, n in sizes.items())
        rest = {axis: getattr(x, axis) - before["thw".index(axis)] for axis in self.over}
        behind = f" from {self.offset} on" if self.offset else ""
        require(fits, "a crop larger than the map", got=f"{like}{behind}", want=f"at most {x._replace(**rest)}")
        return x._replace(**sizes)

    def before(self, x: Shape, like: Shape) -> tuple[int, int, int]:
        """Frames, rows and columns left out before what is taken."""
        t, h, w = (
            0 if axis not in self.over else max(n - m, 0) // 2 if self.offset == "middle" else self.offset
            for axis, n, m in zip("thw", x[1:], like[1:])
        )
        return t, h, w

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        grid, before = grids[0], self.before(*xs)
        t, h, w = (a if not n else a._replace(start=a.start + n * a.step) for a, n in zip(grid[:3], before))
        return Grid(t, h, w, grid.tick)

    @property
    def each_frame(self) -> bool:
        return self.over == "hw" or self.offset == 0

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        first = self.before(*xs)[0]
        return seen[0][first : first + y.t]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """In backward columns are put back first, then rows, then frames."""
        x = xs[0]
        cut = [axis for axis in "thw" if getattr(x, axis) != getattr(y, axis)]
        last = x._replace(**{cut[0]: getattr(y, cut[0])}).elements if len(cut) > 1 else 0
        return Keeps(view=True, gradient="same", passing_back=last)

    def torch(self, *xs: Shape) -> Layer:
        parts = []
        for axis in self.over:
            size, first = f"{{1}}.shape[{'thw'.index(axis) - 3}]", self.before(*xs)["thw".index(axis)]
            parts.append(f"{first} : {first} + {size}" if first else f": {size}")
        return Layer(f"{{0}}[..., {', '.join(parts)}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A map, and one that is no larger."""
        x, like = draw.shape(), draw.shape()
        crop = cls(**random_fields(cls, draw, offset=draw.choice((0, 0, "middle", 1))))
        first = 1 if crop.offset == 1 else 0
        x = x._replace(**{axis: getattr(x, axis) + first for axis in crop.over})
        return crop, (x, like._replace(**{axis: draw.integer(1, getattr(x, axis) - first) for axis in crop.over}))


def seen_resized(mode: Interpolation, seen: Seen, t: int) -> Seen:
    """What each of t elements sees."""
    if len(seen) == t:
        return seen
    return (interpolated if mode == "trilinear" else adaptive_windows)(seen, t)


def torch_mode(mode: Interpolation) -> str:
    """The interpolation mode in torch."""
    return 'mode="nearest"' if mode == "nearest" else f'mode="{mode}", align_corners=False'


def resized(y: Shape, x: Shape, grid: Grid, mode: Interpolation) -> Grid:
    """Elements keep the outer borders: the first of m over n begins where the first of n began."""
    t, h, w = (
        a
        if m == n
        else Axis(
            a.step * n / m,
            a.start + a.step * (Fraction(n, m) - 1) / 2,
            a.span + (a.step if mode == "trilinear" else 0),
        )
        for a, n, m in zip(grid[:3], x[1:], y[1:])
    )
    return Grid(t, h, w, grid.tick)
