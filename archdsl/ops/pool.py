"""Pools: windows without weights, and pools to a given size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.errors import SpecError
from archdsl.ops.base import Axis, Grid, Op, Shape, require
from archdsl.ops.window import Triple, Window


@dataclass(frozen=True, kw_only=True)
class Pool(Window):
    """A window over each channel.  (c, t, h, w) -> (c, t', h', w')"""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        if self.pad != "tf_same":
            for k, (front, back) in zip(self.window(x), self.pads(x)):
                require(
                    max(front, back) <= k // 2, "a pool padded by more than half its window", got=self.pad, want=k // 2
                )
        return Shape(x.c, *self.slide(x))


@dataclass(frozen=True, kw_only=True)
class MaxPool(Pool):
    """The largest element of each window.  (c, t, h, w) -> (c, t', h', w')"""


@dataclass(frozen=True, kw_only=True)
class AvgPool(Pool):
    """The mean of each window.  (c, t, h, w) -> (c, t', h', w')"""

    count_pad: bool = True
    """Whether padding counts in the mean (TensorFlow leaves it out)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dilation == (1, 1, 1), "an average pool has no dilation", got=self.dilation, want=(1, 1, 1))


@dataclass(frozen=True, kw_only=True)
class AdaptiveAvgPool(Op):
    """Means over windows chosen so that the result has a given size.  (c, t, h, w) -> (c, *size); 0 keeps an axis.

    Window i of m over n elements is [floor(i n / m), ceil((i + 1) n / m)), as torch has it.
    """

    size: Triple = (1, 1, 1)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(min(self.size) >= 0, "a size below 0", got=self.size, want="whole numbers; 0 keeps an axis")
        t, h, w = (m or n for m, n in zip(self.size, x[1:]))
        return Shape(x.c, t, h, w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


@dataclass(frozen=True, kw_only=True)
class AdaptiveMaxPool(AdaptiveAvgPool):
    """Maxima over windows chosen so that the result has a given size.  (c, t, h, w) -> (c, *size); 0 keeps an axis."""


@dataclass(frozen=True, kw_only=True)
class Mean(Op):
    """The mean over whole axes, kept as size 1.  (c, t, h, w) -> (c, 1, 1, 1) for over="thw\""""

    over: str = "thw"

    def __post_init__(self) -> None:
        if not self.over or set(self.over) - set("cthw"):
            raise SpecError("a mean over unknown axes", got=repr(self.over), want="some of c, t, h, w")

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(*(1 if axis in self.over else n for axis, n in zip("cthw", x)))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])


def pooled_to(y: Shape, x: Shape, grid: Grid) -> Grid:
    """The grid after windows that part each axis evenly."""
    t, h, w = (
        a
        if m == n
        else Axis(a.step * n / m, a.start + a.step * (Fraction(n, m) - 1) / 2, a.span + a.step * (-(-n // m) - 1))
        for a, n, m in zip(grid[:3], x[1:], y[1:])
    )
    return Grid(t, h, w, grid.tick)
