"""The arithmetic of windows sliding over an axis: sizes, padding rules, places. Shared by convolutions and pools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Literal

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Op
from archdsl.ops.example import Draw, random_triple
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.notation import area
from archdsl.ops.receptive_field import Seen, windowed
from archdsl.ops.shape import Shape
from archdsl.ops.stream import Past

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
    """Elements of the window along (t, h, w); 0 for the whole axis."""
    stride: Triple = (1, 1, 1)
    """Elements from one window to the next, along (t, h, w)."""
    dilation: Triple = (1, 1, 1)
    """Elements between neighbours in the window, along (t, h, w)."""
    pad: PadRule = "same"
    """What stands around the map: same, valid, tf_same, or numbers of elements for t, h, w."""
    ceil: bool = False
    """Round the result's size up, as Caffe does (a window that would start in the padding is dropped)."""
    pads_lowest: ClassVar[bool] = False
    """Whether it pads with -infinity, not 0."""

    def __post_init__(self) -> None:
        for field in ("kernel", "stride", "dilation"):
            value = getattr(self, field)
            if not isinstance(value, tuple | list) or len(value) != 3:
                fix = f"{field}=({value}, {value}, {value})" if isinstance(value, int) else None
                raise SpecError(f"wrong value for {field}", got=repr(value), want="three numbers: t, h, w", fix=fix)
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

    def even_pads(self, x: Shape) -> Triple | None:
        """One number for each axis where both sides are padded alike, as torch pads."""
        (t, t1), (h, h1), (w, w1) = self.pads(x)
        return (t, h, w) if (t, h, w) == (t1, h1, w1) else None

    def fitting(self, x: Shape) -> str | None:
        """The kernel that sees the whole of each axis that is too short for it; None where a kernel cannot be so."""
        return None

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
                    fix=self.fitting(x),
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

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        x = xs[0]
        return windowed(seen[0], y.t, self.window(x)[0], self.stride[0], self.dilation[0], self.pads(x)[0][0])

    def keeps_window(self, x: Shape, fits: bool, *, own: int = 0, own_bytes: int = 0) -> Keeps:
        """A window keeps what it reads; where torch cannot pad it (`fits`), the padded copy."""
        if fits:
            return Keeps(reads=(0,), own=own, own_bytes=own_bytes)
        copy = self.padded(x)
        return Keeps(own=copy + own, own_bytes=own_bytes, passing_back=copy - x.elements)

    def padded(self, x: Shape) -> int:
        """The elements of a map with its padding."""
        t, h, w = (n + front + back for n, (front, back) in zip(x[1:], self.pads(x)))
        return x.c * t * h * w

    @property
    def each_frame(self) -> bool:
        return (self.kernel[0], self.stride[0]) == (1, 1) and (isinstance(self.pad, str) or self.pad[0] in (0, (0, 0)))

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """A window whose padding in time lies in front."""
        if self.each_frame:
            return (self,)
        if self.kernel[0] == 0:
            got = f"{type(self).__name__} {self.kernel}"
            raise SpecError("a window over all frames", got=got, want="an average without padding")
        reach = self.dilation[0] * (self.kernel[0] - 1)
        flat = replace(self, pad=((0, 0), *self.pads(xs[0])[1:]))
        return (Past(frames=reach, lowest=self.pads_lowest), flat) if reach else (flat,)

    def continues(self, past: Op, x: Shape) -> bool:
        """Where it reads as much of the past as it needs."""
        reach = self.dilation[0] * (self.kernel[0] - 1)
        return isinstance(past, Past) and (self.stride[0], reach, self.pads(x)[0]) == (1, past.frames, (0, 0))

    def kernel_text(self) -> str:
        """The window in a drawing, T and S standing for whole axes."""
        t, h, w = self.kernel
        return area(t or "T", h or "S", w or "S")


def window_drawn(draw: Draw, *, dilated: bool = True) -> tuple[dict[str, Any], Shape]:
    """Kernel, stride, dilation and any padding rule, and a map at least as large as the window."""
    kernel = random_triple(draw, 0, 4)
    dilation = tuple(draw.choice((1, 1, 1, 2, 3)) for _ in kernel) if dilated else (1, 1, 1)
    sides = [tuple(draw.integer(0, k // 2) for k in kernel) for _ in range(2)]
    pad = draw.choice(("same", "valid", "tf_same", sides[0], tuple(zip(*sides))))
    c, *sizes = draw.shape()
    x = Shape(c, *(max(n, d * (k - 1) + 1) for n, d, k in zip(sizes, dilation, kernel)))
    return {"kernel": kernel, "stride": random_triple(draw), "dilation": dilation, "pad": pad}, x


def by_axis(pairs: Iterable[tuple[int, int]]) -> Pads:
    """(front, back) of t, h and w."""
    t, h, w = pairs
    return t, h, w


def padded(x: str, pads: Pads, value: str = "") -> str:
    """The text of a map with uneven padding; torch lists the last axis first."""
    (t0, t1), (h0, h1), (w0, w1) = pads
    return f"F.pad({x}, {(w0, w1, h0, h1, t0, t1)}{value})"


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
