"""Convolutions: 1-d, 2-d and 3-d are one op, a kernel of (t, h, w)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod
from typing import Literal

from archdsl.ops.autograd import INPUT, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example, random_fields, random_triple
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Function, Layer, Weights, init_statements, runtime, with_bias
from archdsl.ops.notation import area, steps, triple
from archdsl.ops.receptive_field import Seen, spread
from archdsl.ops.shape import Shape
from archdsl.ops.window import AXES, Triple, Window, padded, window_drawn

Init = Literal["msra", "msra_in", "xavier", "normal", "identity", "shift", "swap", "bilinear", "zeros", "default"]


@dataclass(frozen=True, kw_only=True)
class Conv(Window):
    """A window of weights over all channels of a group.  (c, t, h, w) -> (out_channels, t', h', w')

    `init`: `msra` draws from N(0, 2 / fan_out) (arXiv:1502.01852), `msra_in` from N(0, 2 / fan_in), `xavier` from
    U(+-sqrt(6 / (fan_in + fan_out))), `normal` from N(0, 0.01^2), `identity` starts as the map
    itself, `shift` as the map with an eighth of its channels from the next frame and an eighth from the one before
    (arXiv:1811.08383), `swap` with half and half; `bilinear` as a linear enlargement of each channel; `zeros` starts
    at 0; `default` is torch's. `bias_start`: what a bias starts at, if not as `init` has it.
    """

    autocast = "half"
    prefix = "conv"
    widths = ("out_channels",)
    out_channels: int
    """Channels of the result."""
    groups: int = 1
    """Groups of channels that do not see each other; as many as channels is depthwise."""
    bias: bool = False
    """Whether a learnt number is added to each channel."""
    init: Init = "msra"
    """How weights start."""
    bias_start: float | None = None
    """What the bias starts at, if not as `init` has it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_groups(x.c, self.out_channels, self.groups)
        return Shape(self.out_channels, *self.slide(x))

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        y = self.out(x)
        weights = self.out_channels * (x.c // self.groups) * prod(self.window(x))
        return Cost(
            params=weights + self.bias * self.out_channels,
            conv_macs=weights * y.positions,
            activations=y.elements,
        )

    def weights(self, *xs: Shape) -> Weights:
        (x,) = xs
        found = {"weight": (self.out_channels, x.c // self.groups, *self.window(x))}
        return with_bias(found, self.bias * self.out_channels)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return self.keeps_window(xs[0], self.even_pads(xs[0]) is not None)

    def kind(self, x: Shape) -> str:
        """How torch runs it: its groups, and the axes along which it has a window."""
        groups = "" if self.groups == 1 else "depthwise " if self.groups == x.c else "grouped "
        if max(self.window(x)) == 1:
            return f"{groups}1x1x1"
        t, h, w = self.along(x)
        return groups + ("3d" if t and (h or w) else "time" if t else "frame")

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.kernel_text()}, {width_text(self, x)}"

    def row(self, x: Shape | None = None) -> str:
        return ", ".join([area(*(self.window(x) if x else self.kernel)), str(self.out_channels), *row_words(self, x)])

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        pads = self.even_pads(x)
        args = (
            Argument("in_channels", x.c),
            Argument("out_channels", self.out_channels),
            Argument("kernel_size", self.window(x)),
            Argument("stride", self.stride, (1, 1, 1)),
            Argument("padding", pads or (0, 0, 0), (0, 0, 0)),
            Argument("dilation", self.dilation, (1, 1, 1)),
            Argument("groups", self.groups, 1),
            Argument("bias", self.bias, True),
        )
        call = "{m}({0})" if pads else f"{{m}}({padded('{0}', self.pads(x))})"
        inits = init_statements(self.init, self.bias, self.bias_start)
        return Layer(call, "nn.Conv3d", args, inits, init_functions(self.init))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Of any padding rule; its channels fall into its groups."""
        window, x = window_drawn(draw)
        groups = draw.choice((1, 1, 2, 3, x.c))
        fields = random_fields(cls, draw, **window, ceil=False, groups=groups, out_channels=groups * draw.integer(1, 4))
        return cls(**fields), (x._replace(c=x.c if groups == x.c else x.c * groups),)


@dataclass(frozen=True, kw_only=True)
class TransposedConv(Op):
    """The transpose of a convolution.  (c, t, h, w) -> (out_channels, (n-1)s - 2p + d(k-1) + 1 + extra, ...)"""

    autocast = "half"
    kept = INPUT
    widths = ("out_channels",)
    out_channels: int
    """Channels of the result."""
    kernel: Triple
    """Elements of the kernel along (t, h, w)."""
    stride: Triple = (1, 1, 1)
    """How many elements of the result one of the map stands for, along (t, h, w)."""
    dilation: Triple = (1, 1, 1)
    """Elements of the result between neighbours of the kernel, along (t, h, w)."""
    pad: Triple = (0, 0, 0)
    """Elements cut off on both sides of the result, along (t, h, w)."""
    extra: Triple = (0, 0, 0)
    """Elements added behind each axis (torch's output_padding)."""
    groups: int = 1
    """Groups of channels that do not see each other."""
    bias: bool = False
    """Whether a learnt number is added to each channel."""
    init: Init = "msra"
    """How weights start; see conv."""

    def __post_init__(self) -> None:
        for field in ("kernel", "stride", "dilation"):
            require(
                min(getattr(self, field)) >= 1,
                f"{field} below 1",
                got=getattr(self, field),
                want="whole numbers from 1",
            )
        for k, s, d, p, e in zip(self.kernel, self.stride, self.dilation, self.pad, self.extra):
            require(0 <= p <= d * (k - 1), "padding larger than the kernel", got=self.pad, want=f"0 to {d * (k - 1)}")
            require(
                0 <= e < max(s, d), "`extra` not smaller than stride and dilation", got=self.extra, want=f"0 to {s - 1}"
            )

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_groups(x.c, self.out_channels, self.groups)
        t, h, w = (
            (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
            for n, k, s, d, p, e in zip(x[1:], self.kernel, self.stride, self.dilation, self.pad, self.extra)
        )
        for axis, size in zip(AXES, (t, h, w)):
            require(size >= 1, f"empty result along {axis}", got=f"{axis}={size}", want=f"{axis} of at least 1")
        return Shape(self.out_channels, t, h, w)

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        y = self.out(x)
        weights = x.c * (self.out_channels // self.groups) * prod(self.kernel)
        return Cost(
            params=weights + self.bias * self.out_channels,
            conv_macs=weights * x.positions,
            activations=y.elements,
        )

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Strides narrow the step; an element sees at most ceil(k/s) of the elements before."""
        grid = grids[0]
        t, h, w = (
            Axis(
                a.step / s,
                a.start - a.step / s * (Fraction(d * (k - 1), 2) - p),
                a.span + (-(-(d * (k - 1) + 1) // s) - 1) * a.step,
            )
            for a, k, s, d, p in zip(grid[:3], self.kernel, self.stride, self.dilation, self.pad)
        )
        return Grid(t, h, w, grid.tick)

    def weights(self, *xs: Shape) -> Weights:
        found = {"weight": (xs[0].c, self.out_channels // self.groups, *self.kernel)}
        return with_bias(found, self.bias * self.out_channels)

    def window(self, x: Shape) -> Triple:
        return self.kernel

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return spread(seen[0], y.t, self.kernel[0], self.stride[0], self.dilation[0], self.pad[0])

    @property
    def each_frame(self) -> bool:
        return (self.kernel[0], self.stride[0], self.extra[0]) == (1, 1, 0)

    def label(self, x: Shape, y: Shape) -> str:
        return f"up {area(*self.kernel)}, {width_text(self, x)}"

    def strides(self) -> str:
        return steps(self.stride, "×")

    def row(self, x: Shape | None = None) -> str:
        return ", ".join([area(*self.kernel), str(self.out_channels), *row_words(self, x), "transposed"])

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("in_channels", xs[0].c),
            Argument("out_channels", self.out_channels),
            Argument("kernel_size", self.kernel),
            Argument("stride", self.stride, (1, 1, 1)),
            Argument("padding", self.pad, (0, 0, 0)),
            Argument("output_padding", self.extra, (0, 0, 0)),
            Argument("groups", self.groups, 1),
            Argument("bias", self.bias, True),
            Argument("dilation", self.dilation, (1, 1, 1)),
        )
        inits = init_statements(self.init, self.bias)
        return Layer("{m}({0})", "nn.ConvTranspose3d", args, inits, init_functions(self.init))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Padded within its kernel."""
        kernel, stride, dilation = random_triple(draw), random_triple(draw), random_triple(draw)
        pad = tuple(draw.integer(0, d * (k - 1)) for k, d in zip(kernel, dilation))
        extra = tuple(draw.integer(0, max(s, d) - 1) for s, d in zip(stride, dilation))
        groups, x = draw.integer(1, 2), draw.shape(c=3, t=5, s=5)
        sizes = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "extra": extra}
        out = groups * draw.integer(1, 3)
        return cls(**random_fields(cls, draw, **sizes, groups=groups, out_channels=out)), (x._replace(c=x.c * groups),)


def init_functions(init: Init) -> tuple[Function, ...]:
    """What draws weights that torch has no function for."""
    if init == "bilinear":
        return runtime("convolution.unpool", "start_bilinear")
    return runtime("flows.motion", "start_as_shift") if init in ("shift", "swap") else ()


def width_text(op: Conv | TransposedConv, x: Shape) -> str:
    """Channels written, and how it is grouped or dilated, in a drawing."""
    words = [str(op.out_channels)]
    if op.groups > 1:
        words.append("dw" if op.groups == x.c else f"g{op.groups}")
    if max(op.dilation) > 1:
        words.append(f"d{max(op.dilation)}")
    return " ".join(words)


def row_words(op: Conv | TransposedConv, x: Shape | None) -> list[str]:
    """How it is dilated and grouped, in a table."""
    words = [f"dilation {triple(*op.dilation)}"] if op.dilation != (1, 1, 1) else []
    if op.groups > 1:
        words.append("depthwise" if x and op.groups == x.c else f"{op.groups} groups")
    return words


def check_groups(c: int, out: int, groups: int) -> None:
    """Both channel counts must fall into the groups."""
    require(out >= 1, "out_channels below 1", got=out, want="at least 1")
    require(groups >= 1, "groups below 1", got=groups, want="at least 1")
    what, want, fix = "channels not divisible by groups", f"a multiple of {groups}", f"groups: {gcd(c, out, groups)}"
    require(c % groups == 0, what, got=f"{c} read, groups={groups}", want=want, fix=fix)
    require(out % groups == 0, what, got=f"{out} written, groups={groups}", want=want, fix=fix)
