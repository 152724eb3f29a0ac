"""What works on each head of a map apart, with weights that all heads share: the pools of MViT (arXiv:2104.11227)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from archdsl.ops.autograd import STATISTICS, Keeps
from archdsl.ops.base import Cost
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.multi_head import check_heads
from archdsl.ops.norm import Norm
from archdsl.ops.shape import Shape
from archdsl.ops.window import Window, padded, window_drawn


@dataclass(frozen=True, kw_only=True)
class HeadConv(Window):
    """A depthwise convolution without bias, the same for each head.  (c, t, h, w) -> (c, t', h', w')"""

    autocast = "half"
    heads: int = 1
    """Heads that share one kernel; channels are a multiple of it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_heads(x, self.heads)
        return Shape(x.c, *self.slide(x))

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c // self.heads, 1, *self.window(xs[0]))}

    def cost(self, *xs: Shape) -> Cost:
        (x,), y = xs, self.out(*xs)
        window = prod(self.window(x))
        return Cost(params=x.c // self.heads * window, conv_macs=y.elements * window, activations=y.elements)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The map, padded where torch cannot, and the window of every channel."""
        weights = y.c * prod(self.window(xs[0]))
        return self.keeps_window(xs[0], self.even_pads(xs[0]) is not None, own_bytes=4 * weights)

    def label(self, x: Shape, y: Shape) -> str:
        return f"head conv {self.kernel_text()}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        pads = self.even_pads(x)
        args = [Argument("heads", self.heads), Argument("channels", x.c // self.heads)]
        args += [Argument("kernel", self.window(x)), Argument("stride", self.stride)]
        args += [Argument("padding", pads or (0, 0, 0))]
        args += [Argument("dilation", self.dilation, (1, 1, 1))]
        source = "{0}" if pads else padded("{0}", self.pads(x))
        return Layer(f"{{m}}({source})", "HeadConv", tuple(args), needs=runtime("attention.heads", "HeadConv"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        window, x = window_drawn(draw)
        heads = draw.integer(1, 3)
        return cls(**random_fields(cls, draw, **window, heads=heads, ceil=False)), (x._replace(c=x.c * heads),)


@dataclass(frozen=True, kw_only=True)
class HeadNorm(Norm):
    """The channels of each head at each position to mean 0, variance 1.  (c, t, h, w) -> (c, t, h, w)

    Scale and shift are those of a head, for all heads. fvcore counts 5 per element.
    """

    causality = "frame"
    autocast = "float32"
    passes_extra = True
    heads: int = 1
    """Heads that are normalised each by itself; channels are a multiple of it."""
    eps: float = 1e-6
    """Added to the variance."""

    def out(self, *xs: Shape) -> Shape:
        check_heads(xs[0], self.heads)
        return xs[0]

    def cost(self, *xs: Shape) -> Cost:
        n = xs[0].elements
        return Cost(params=2 * (xs[0].c // self.heads), norm_elements=n, fvcore_extra=5 * n, activations=n)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c // self.heads,), "bias": (xs[0].c // self.heads,)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), own_bytes=STATISTICS * self.heads * y.positions)

    def torch(self, *xs: Shape) -> Layer:
        args = [Argument("heads", self.heads), Argument("channels", xs[0].c // self.heads)]
        args.append(Argument("eps", self.eps, 1e-5))
        return Layer("{m}({0})", "HeadNorm", tuple(args), needs=runtime("attention.heads", "HeadNorm"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        heads, x = draw.integer(1, 3), draw.shape()
        return cls(heads=heads, eps=draw.choice((1e-6, 1e-5))), (x._replace(c=x.c * heads, extra=draw.integer(0, 2)),)
