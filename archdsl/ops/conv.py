"""Convolutions: 1-d, 2-d and 3-d are one op, a kernel of (t, h, w)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Literal

from archdsl.ops.base import Axis, Cost, Grid, Op, Shape, require
from archdsl.ops.window import AXES, Triple, Window

Init = Literal["msra", "msra_in", "xavier", "normal", "identity", "shift", "swap", "zeros", "default"]


@dataclass(frozen=True, kw_only=True)
class Conv(Window):
    """A window of weights over all channels of a group.  (c, t, h, w) -> (out_channels, t', h', w')

    `init`: `msra` draws from N(0, 2 / fan_out) (arXiv:1502.01852), `msra_in` from N(0, 2 / fan_in), `xavier` from
    U(+-sqrt(6 / (fan_in + fan_out))), `normal` from N(0, 0.01^2), `identity` starts as the map
    itself, `shift` as the map with an eighth of its channels from the next frame and an eighth from the one before
    (arXiv:1811.08383), `swap` with half and half; `zeros` starts at 0; `default` is torch's. `bias_start`: what a
    bias starts at, if not as `init` has it.
    """

    out_channels: int
    groups: int = 1
    bias: bool = False
    init: Init = "msra"
    bias_start: float | None = None

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        grouped(x.c, self.out_channels, self.groups)
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


@dataclass(frozen=True, kw_only=True)
class TransposedConv(Op):
    """The transpose of a convolution.  (c, t, h, w) -> (out_channels, (n-1)s - 2p + d(k-1) + 1 + extra, ...)"""

    out_channels: int
    kernel: Triple
    stride: Triple = (1, 1, 1)
    dilation: Triple = (1, 1, 1)
    pad: Triple = (0, 0, 0)
    extra: Triple = (0, 0, 0)
    """Elements added behind each axis (torch's output_padding)."""
    groups: int = 1
    bias: bool = False
    init: Init = "msra"

    def __post_init__(self) -> None:
        for field in ("kernel", "stride", "dilation"):
            require(
                min(getattr(self, field)) >= 1,
                f"{field} below 1",
                got=getattr(self, field),
                want="whole numbers from 1",
            )
        for k, s, d, p, e in zip(self.kernel, self.stride, self.dilation, self.pad, self.extra):
            require(0 <= p <= d * (k - 1), "padding beyond the kernel", got=self.pad, want=f"0 to {d * (k - 1)}")
            require(0 <= e < max(s, d), "extra not below stride or dilation", got=self.extra, want=f"0 to {s - 1}")

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        grouped(x.c, self.out_channels, self.groups)
        t, h, w = (
            (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
            for n, k, s, d, p, e in zip(x[1:], self.kernel, self.stride, self.dilation, self.pad, self.extra)
        )
        for axis, size in zip(AXES, (t, h, w)):
            require(size >= 1, f"nothing left along {axis}", got=f"{axis}={size}", want=f"{axis} of at least 1")
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


def grouped(c: int, out: int, groups: int) -> None:
    """Both channel counts must fall into the groups."""
    require(out >= 1, "no channels to write", got=out, want="at least 1")
    require(groups >= 1, "no groups", got=groups, want="at least 1")
    require(c % groups == 0, "channels that do not fall into groups", got=f"{c} read, groups={groups}", want="no rest")
    require(
        out % groups == 0,
        "channels that do not fall into groups",
        got=f"{out} written, groups={groups}",
        want="no rest",
    )
