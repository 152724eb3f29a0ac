"""Tubes: windows of several sizes over one clip, whose results are tokens of one sequence."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example, random_triple
from archdsl.ops.layer import CONSTANTS, Argument, Layer, Weights, runtime
from archdsl.ops.shape import Shape
from archdsl.ops.window import AXES, Triple


@dataclass(frozen=True, kw_only=True)
class Tubes(Op):
    """Tokens of several windows in turn, every `steps` from its offset.  (c, t, h, w) -> (out_channels, tokens)

    `tied`: one kernel is learnt, of the first size, and resized for the others; biases are apart (arXiv:2212.03229).
    With `positions` fixed sines of the middle of each token are added: in frames in the first channels,
    in rows and in columns of pixels in a third each of them, rounded down.
    """

    autocast = "half"
    widths = ("out_channels",)
    out_channels: int
    """Channels of the tokens."""
    kernels: tuple[Triple, ...]
    """Window (t, h, w) of each tube."""
    steps: tuple[Triple, ...]
    """Stride (t, h, w) of each."""
    offsets: tuple[Triple, ...]
    """Where the first window of each starts (t, h, w)."""
    tied: bool = True
    """Whether the first one's kernel is resized for the others; else one is learnt for each."""
    positions: bool = True
    """Whether sines of the tokens' middles are added."""

    def __post_init__(self) -> None:
        counts = (len(self.kernels), len(self.steps), len(self.offsets))
        require(len(set(counts)) == 1 and counts[0] >= 1, "tubes without a size", got=counts, want="one for each")
        least = min(n for sizes in (*self.kernels, *self.steps) for n in sizes)
        require(least >= 1, "a window or a stride below 1", got=least, want="at least 1")
        least = min(n for sizes in self.offsets for n in sizes)
        require(least >= 0, "an offset below 0", got=least, want="at least 0")
        c = self.out_channels
        fits = not self.positions or (c % 2 == 0 and c >= 6)
        require(fits, "channels that make no pairs of sines for each axis", got=c, want="an even number from 6")

    def grids(self, x: Shape) -> tuple[Triple, ...]:
        """How many tokens each tube gives along (t, h, w)."""
        found = []
        for i, tube in enumerate(zip(self.kernels, self.steps, self.offsets)):
            counts = []
            for axis, n, k, s, start in zip(AXES, x[1:4], *tube):
                what, got = f"tube {i} reaches beyond the clip along {axis}", f"{start} + {k}, {n} in the clip"
                require(start + k <= n, what, got=got, want=f"at most {n}")
                counts.append((n - start - k) // s + 1)
            found.append((counts[0], counts[1], counts[2]))
        return tuple(found)

    def out(self, *xs: Shape) -> Shape:
        require(self.out_channels >= 1, "out_channels below 1", got=self.out_channels, want="at least 1")
        return Shape(self.out_channels, 0, 0, 0, sum(map(prod, self.grids(xs[0]))))

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        products = sum(prod(grid) * prod(kernel) for grid, kernel in zip(self.grids(x), self.kernels))
        return super().cost(*xs)._replace(conv_macs=products * x.c * self.out_channels)

    def weights(self, *xs: Shape) -> Weights:
        shapes = [(self.out_channels, xs[0].c, *kernel) for kernel in self.kernels]
        own = {"weight": shapes[0]} if self.tied else {f"weight_{i}": shape for i, shape in enumerate(shapes)}
        return {**own, "bias": (len(shapes), self.out_channels)}

    def buffers(self, *xs: Shape) -> int:
        return 4 * self.out(*xs).elements * self.positions

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The clip, and kernels that are resized; results of all tubes stand beside those that are joined.

        Gradients of parts of the clip are as large as it.
        """
        resized = self.out_channels * xs[0].c * sum(map(prod, self.kernels[1:])) * self.tied
        back = xs[0].elements * any(map(any, self.offsets))
        return Keeps(reads=(0,), passing=y.elements, passing_back=back, shared_bytes=4 * resized * training)

    def label(self, x: Shape, y: Shape) -> str:
        return f"{len(self.kernels)} tubes, {self.out_channels}"

    def row(self, x: Shape | None = None) -> str:
        return f"tubes {', '.join('×'.join(map(str, kernel)) for kernel in self.kernels)}, {self.out_channels}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = [Argument("in_channels", x.c), Argument("out_channels", self.out_channels)]
        args += [Argument(name, getattr(self, name)) for name in ("kernels", "steps", "offsets")]
        args += [Argument("tied", self.tied), Argument("grids", self.grids(x) if self.positions else ())]
        needs = runtime("attention.positions", "sines_at") + runtime("attention.tokens", "token_rows")
        return Layer("{m}({0})", "Tubes", tuple(args), needs=needs + CONSTANTS + runtime("attention.tubes", "Tubes"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        count = draw.integer(1, 3)
        kernels, steps, offsets = ([random_triple(draw, low, 3) for _ in range(count)] for low in (1, 1, 0))
        size = (max(k[i] + o[i] for k, o in zip(kernels, offsets)) + draw.integer(0, 3) for i in range(3))
        lists = dict(kernels=tuple(kernels), steps=tuple(steps), offsets=tuple(offsets))
        op = cls(out_channels=2 * draw.integer(3, 4), tied=draw.flag(), positions=draw.flag(), **lists)
        return op, (Shape(draw.integer(1, 3), *size),)
