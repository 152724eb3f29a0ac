"""Pools: windows without weights, and pools to a given size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from archdsl.errors import SpecError
from archdsl.ops.autograd import INDEX, INPUT, NOTHING, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, random_fields, random_triple
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Layer, changed_keywords
from archdsl.ops.notation import area
from archdsl.ops.receptive_field import Seen, adaptive_windows
from archdsl.ops.shape import Shape
from archdsl.ops.stream import MeanSoFar, NewestFrame
from archdsl.ops.window import Pads, Triple, Window, padded, window_drawn


@dataclass(frozen=True, kw_only=True)
class Pool(Window):
    """A window over each channel.  (c, t, h, w) -> (c, t', h', w')"""

    words: ClassVar[tuple[str, str]]
    """What it is called in a drawing and in a table."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        if self.pad != "tf_same":
            for k, (front, back) in zip(self.window(x), self.pads(x)):
                require(
                    max(front, back) <= k // 2, "a pool padded by more than half its window", got=self.pad, want=k // 2
                )
        return Shape(x.c, *self.slide(x))

    def fitting(self, x: Shape) -> str | None:
        reach = zip(self.kernel, x[1:], self.pads(x), self.dilation)
        kernel = [0 if n + front + back < d * (k - 1) + 1 else k for k, n, (front, back), d in reach]
        return f"kernel: {kernel}, where 0 is the whole axis"

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.words[0]} {self.kernel_text()}"

    def row(self, x: Shape | None = None) -> str:
        return f"{area(*(self.window(x) if x else self.kernel))} {self.words[1]} pool"

    def sizes(self, x: Shape, pad: Triple | None = (0, 0, 0), *, ceil: bool = False) -> str:
        """Kernel, stride, padding and rounding, as arguments in torch."""
        rest = changed_keywords(stride=(self.stride, None), padding=(pad, (0, 0, 0)), ceil_mode=(ceil, False))
        return f"{self.window(x)}{rest}"

    def reached(self, x: Shape) -> Pads:
        """Padding up to the end of the last window, so that rounding down gives the result's size."""
        axes = zip(x[1:], self.slide(x), self.window(x), self.stride, self.dilation, self.pads(x))
        t, h, w = ((front, (m - 1) * s + d * (k - 1) + 1 - n - front) for n, m, k, s, d, (front, _) in axes)
        return (t, h, w)

    def padded(self, x: Shape) -> int:
        t, h, w = (n + front + back for n, (front, back) in zip(x[1:], self.reached(x)))
        return x.c * t * h * w

    @classmethod
    def example(cls, draw: Draw) -> Example:
        window, x = window_drawn(draw)
        return cls(**random_fields(cls, draw, **window)), (x,)


@dataclass(frozen=True, kw_only=True)
class MaxPool(Pool):
    """The largest element of each window.  (c, t, h, w) -> (c, t', h', w')"""

    words = ("max", "max")
    pads_lowest = True

    def fits(self, x: Shape) -> bool:
        """Whether torch pads it: it refuses padding beyond half a window, which a dilated window may need."""
        return all(front == back <= k // 2 for (front, back), k in zip(self.pads(x), self.window(x)))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return self.keeps_window(xs[0], self.fits(xs[0]), own_bytes=INDEX * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        dilation = changed_keywords(dilation=(self.dilation, (1, 1, 1)))
        if self.fits(x):
            return Layer(f"F.max_pool3d({{0}}, {self.sizes(x, self.even_pads(x), ceil=self.ceil)}{dilation})")
        source = padded("{0}", self.reached(x), ', value=float("-inf")')
        return Layer(f"F.max_pool3d({source}, {self.sizes(x)}{dilation})")


@dataclass(frozen=True, kw_only=True)
class AvgPool(Pool):
    """The mean of each window.  (c, t, h, w) -> (c, t', h', w')"""

    words = ("avg", "average")
    count_pad: bool = True
    """Whether padding counts in the mean (TensorFlow leaves it out)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dilation == (1, 1, 1), "an average pool has no dilation", got=self.dilation, want=(1, 1, 1))

    def fits(self, x: Shape) -> bool:
        """Whether torch pads it: 2.13 refuses a map smaller than the window even where padding makes up for it."""
        return self.even_pads(x) is not None and all(n >= k for n, k in zip(x[1:], self.window(x)))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        fits = self.fits(xs[0])
        if fits or self.count_pad:
            return self.keeps_window(xs[0], fits)
        x, padded, n = xs[0].elements, self.padded(xs[0]), y.elements
        if not training:
            return Keeps(passing=padded + max(x, n))
        return Keeps(own=padded + n, passing=max(n, x + padded - n), passing_back=padded - x)  # own: and the divisor

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """A mean over all frames becomes that of all so far."""
        front, height, width = self.pads(xs[0])
        if self.kernel[0] == 0 and front == (0, 0):
            flat = replace(self, kernel=(1, *self.kernel[1:]), pad=((0, 0), height, width))
            return flat, MeanSoFar(), NewestFrame()
        if not self.count_pad and self.kernel[0] > 1:
            what = "causal mean over frames without their padding"
            raise SpecError(what, got="count_pad: false", want="count_pad: true")
        return super().causal(*xs)

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        if self.fits(x):
            counted = changed_keywords(count_include_pad=(self.count_pad, True))
            return Layer(f"F.avg_pool3d({{0}}, {self.sizes(x, self.even_pads(x), ceil=self.ceil)}{counted})")
        window, pads = self.sizes(x), self.reached(x)
        mean = f"F.avg_pool3d({padded('{0}', pads)}, {window})"
        if self.count_pad:
            return Layer(mean)
        # torch cannot leave uneven padding out of a mean: divide by the share of the window that is map
        return Layer(f"{mean} / F.avg_pool3d({padded('torch.ones_like({0})', pads)}, {window})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        window, x = window_drawn(draw, dilated=False)
        return cls(**random_fields(cls, draw, **window)), (x,)


@dataclass(frozen=True, kw_only=True)
class AdaptiveAvgPool(Op):
    """Means over windows chosen so that the result has a given size.  (c, t, h, w) -> (c, *size); 0 keeps an axis.

    Window i of m over n elements is [floor(i n / m), ceil((i + 1) n / m)), as torch has it.
    """

    words: ClassVar[tuple[str, str, str]] = ("avg", "average", "avg_pool3d")
    """What it is called in a drawing, in a table and in torch."""
    size: Triple = (1, 1, 1)
    """Size of the result along (t, h, w); 0 keeps an axis."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(min(self.size) >= 0, "size below 0", got=self.size, want="whole numbers; 0 keeps an axis")
        t, h, w = (m or n for m, n in zip(self.size, x[1:]))
        return Shape(x.c, t, h, w)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return adaptive_windows(seen[0], y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return NOTHING if self.averages else INPUT

    @property
    def each_frame(self) -> bool:
        return self.size[0] == 0

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """A mean over all frames becomes that of all so far."""
        if self.size[0] != 1:
            return super().causal(*xs)
        return replace(self, size=(0, *self.size[1:])), MeanSoFar(), NewestFrame()

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.words[0]} pool to {area(*y[1:])}"

    def row(self, x: Shape | None = None) -> str:
        if self.size == (1, 1, 1):
            return f"global {self.words[1]} pool"
        t, h, w = (m or axis for m, axis in zip(self.size, "thw"))
        return f"{self.words[1]} pool to {t}×{h}×{w}"

    def torch(self, *xs: Shape) -> Layer:
        """A mean over whole axes takes maps of any size; ONNX has no adaptive pool in 3-D."""
        if self.averages:
            return Mean(over="".join(axis for axis, size in zip("thw", self.size) if size)).torch(*xs)
        return self.pooled(xs[0])

    @property
    def averages(self) -> bool:
        """Whether it takes the mean over whole axes."""
        return set(self.size) <= {0, 1} and any(self.size)

    def pooled(self, x: Shape) -> Layer:
        """Equal windows side by side where the size divides the map's, else torch's adaptive pool."""
        sizes = tuple(self.out(x)[1:])
        if all(n % m == 0 for n, m in zip(x[1:], sizes)):
            return Layer(f"F.{self.words[2]}({{0}}, {tuple(n // m for n, m in zip(x[1:], sizes))})")
        return Layer(f"F.adaptive_{self.words[2]}({{0}}, {tuple(size or None for size in self.size)})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(size=random_triple(draw, 0, 9)), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class AdaptiveMaxPool(AdaptiveAvgPool):
    """Maxima over windows chosen so that the result has a given size.  (c, t, h, w) -> (c, *size); 0 keeps an axis."""

    words = ("max", "max", "max_pool3d")

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), own_bytes=INDEX * y.elements)

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return Op.causal(self, *xs)

    def torch(self, *xs: Shape) -> Layer:
        return self.pooled(xs[0])


@dataclass(frozen=True, kw_only=True)
class Mean(Op):
    """The mean over whole axes, kept as size 1.  (c, t, h, w) -> (c, 1, 1, 1) for over="thw\""""

    kept = NOTHING
    over: str = "thw"
    """The axes averaged over, such as hw."""

    def __post_init__(self) -> None:
        if not self.over or set(self.over) - set("cthw"):
            raise SpecError("a mean over unknown axes", got=repr(self.over), want="some of c, t, h, w")

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        return Shape(*(1 if axis in self.over else n for axis, n in zip("cthw", x)))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])

    @property
    def each_frame(self) -> bool:
        return "t" not in self.over

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """A mean over all frames becomes that of all so far."""
        rest = self.over.replace("t", "")
        if rest == self.over:
            return (self,)
        return (Mean(over=rest), MeanSoFar()) if rest else (MeanSoFar(),)

    def row(self, x: Shape | None = None) -> str:
        return "mean" if self.over == "thw" else f"mean over {', '.join(self.over)}"

    def torch(self, *xs: Shape) -> Layer:
        axes = tuple(1 + "cthw".index(axis) for axis in "cthw" if axis in self.over)
        if xs[0].w == 1 and self.over in ("thw", "hw", "w"):
            # torch 2.13 on a CPU: batch_norm_backward is wrong for gradients as keepdim lays them out in one column
            return Layer(f"{{0}}.mean(dim={axes})[..., {', '.join(['None'] * len(axes))}]")
        return Layer(f"{{0}}.mean(dim={axes}, keepdim=True)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(over=draw.choice(("t", "hw", "thw", "c", "cthw", "w"))), (draw.shape(),)


def pooled_to(y: Shape, x: Shape, grid: Grid) -> Grid:
    """The grid after windows that part each axis evenly."""
    t, h, w = (
        a
        if m == n
        else Axis(a.step * n / m, a.start + a.step * (Fraction(n, m) - 1) / 2, a.span + a.step * (-(-n // m) - 1))
        for a, n, m in zip(grid[:3], x[1:], y[1:])
    )
    return Grid(t, h, w, grid.tick)
