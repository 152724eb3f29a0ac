"""The arithmetic of windows sliding over an axis: sizes, padding rules, places. Shared by convolutions and pools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from archdsl.errors import SpecError
from archdsl.ops.base import Axis, Grid, Op, Shape

Triple = tuple[int, int, int]
Pads = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
PadRule = Literal["same", "valid", "tf_same"] | Triple | Pads
AXES = ("t", "h", "w")


@dataclass(frozen=True, kw_only=True)
class Window(Op):
    """A window (t, h, w) that slides over a map. A kernel size of 0 stands for the whole axis.

    Padding rules: `same` pads floor(d(k-1)/2) on both sides; `valid` pads nothing; `tf_same` is TensorFlow's (the
    result has ceil(n/stride) elements, the odd element of padding goes to the end); or numbers, one per axis or a
    (front, back) pair per axis.
    """

    kernel: Triple
    stride: Triple = (1, 1, 1)
    dilation: Triple = (1, 1, 1)
    pad: PadRule = "same"
    ceil: bool = False
    """Round the result's size up, as Caffe does (a window that would start in the padding is dropped)."""

    def __post_init__(self) -> None:
        for field in ("stride", "dilation"):
            if min(getattr(self, field)) < 1:
                raise SpecError(f"{field} below 1", got=str(getattr(self, field)), want="whole numbers from 1")
        if min(self.kernel) < 0:
            raise SpecError("kernel below 0", got=str(self.kernel), want="whole numbers; 0 means the whole axis")

    def window(self, x: Shape) -> Triple:
        """The kernel with whole axes filled in."""
        kt, kh, kw = self.kernel
        return kt or x.t, kh or x.h, kw or x.w

    def pads(self, x: Shape) -> Pads:
        """Padding in front of and behind each axis."""
        kernel = self.window(x)
        if self.pad == "valid":
            return ((0, 0), (0, 0), (0, 0))
        if self.pad == "same":
            sides = (0 if not whole else d * (k - 1) // 2 for whole, k, d in zip(self.kernel, kernel, self.dilation))
            return by_axis((side, side) for side in sides)
        if self.pad == "tf_same":
            return by_axis(tf_same(n, k, s, d) for n, k, s, d in zip(x[1:], kernel, self.stride, self.dilation))
        return by_axis((p, p) if isinstance(p, int) else p for p in self.pad)

    def along(self, x: Shape) -> tuple[bool, bool, bool]:
        """Along which of (t, h, w) it does more than see one element after the other."""
        t, h, w = (
            k > 1 or s > 1 or pad != (0, 0) for k, s, pad in zip(self.window(x), self.stride, self.pads(x), strict=True)
        )
        return t, h, w

    def slide(self, x: Shape) -> Triple:
        """The size of the result along (t, h, w)."""
        sizes = []
        for axis, n, k, s, d, (front, back) in zip(
            AXES, x[1:], self.window(x), self.stride, self.dilation, self.pads(x)
        ):
            reach = d * (k - 1) + 1
            if n + front + back < reach:
                raise SpecError(
                    f"a window larger than the map along {axis}",
                    got=f"{axis}={n} padded to {n + front + back}, window {k}" + (f" at dilation {d}" if d > 1 else ""),
                    want=f"{axis} of at least {reach - front - back}",
                )
            size = (n + front + back - reach + (s - 1 if self.ceil else 0)) // s + 1
            sizes.append(size - 1 if self.ceil and (size - 1) * s >= n + front else size)
        t, h, w = sizes
        return t, h, w

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Strides widen the step, padding moves the start, kernels widen the span."""
        (x,), grid = xs[:1], grids[0]
        t, h, w = (
            seen_through(axis, k, s, d, front)
            for axis, k, s, d, (front, _) in zip(grid[:3], self.window(x), self.stride, self.dilation, self.pads(x))
        )
        return Grid(t, h, w, grid.tick)


def by_axis(pairs: Iterable[tuple[int, int]]) -> Pads:
    """(front, back) of t, h and w."""
    t, h, w = pairs
    return t, h, w


def tf_same(n: int, k: int, s: int, d: int) -> tuple[int, int]:
    """TensorFlow's SAME: total = max((ceil(n/s) - 1)s + d(k-1) + 1 - n, 0), the smaller half in front."""
    total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
    return total // 2, total - total // 2


@lru_cache(maxsize=4096)
def seen_through(axis: Axis, k: int, s: int, d: int, front: int) -> Axis:
    """The axis after a window of k elements at stride s, dilation d, with `front` elements of padding before it."""
    if k == s == 1 and not front:
        return axis
    reach = d * (k - 1)
    return Axis(axis.step * s, axis.start + axis.step * (Fraction(reach, 2) - front), axis.span + reach * axis.step)
