"""Normalisations. Scale and shift are parameters; running statistics are buffers and never counted."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from archdsl.ops.autograd import STATISTICS, Keeps
from archdsl.ops.base import Beside, Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, changed_keywords, with_bias, zero_scale_init
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Norm(Op):
    """Normalises a map.  (c, t, h, w) -> (c, t, h, w)"""

    shown = "in heads"


@dataclass(frozen=True, kw_only=True)
class LocalResponseNorm(Norm):
    """x / (k + alpha * sum of the squares of `size` neighbouring channels)^beta.  (c, t, h, w) -> (c, t, h, w)

    As the AlexNet paper writes it (section 3.3). Caffe and torch multiply alpha by the mean instead: theirs is `size`
    times this one. No parameters; fvcore counts nothing.
    """

    causality = "frame"
    autocast = "float32"
    size: int = 5
    """Neighbouring channels whose squares are summed."""
    alpha: float = 1e-4
    """Factor of the sum."""
    beta: float = 0.75
    """Exponent of the divisor."""
    k: float = 2.0
    """Added to the sum."""

    def out(self, *xs: Shape) -> Shape:
        require(self.size >= 1, "`size` below 1", got=f"size={self.size}", want="at least 1")
        return xs[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Squares, padded along channels; the base of the power; the divisor."""
        (x,), n = xs, y.elements
        padded = (x.c + self.size - 1) * x.positions
        if not training:
            return Keeps(passing=max(padded, 2 * n))
        return Keeps(reads=(0,), own=padded + 2 * n, passing_back=3 * n)

    def torch(self, *xs: Shape) -> Layer:
        # torch's alpha multiplies the mean of the squares, ours their sum
        fields = changed_keywords(alpha=(self.alpha * self.size, 1e-4), beta=(self.beta, 0.75), k=(self.k, 1.0))
        return Layer(f"F.local_response_norm({{0}}, {self.size}{fields})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(size=draw.integer(1, 5), alpha=draw.choice((1e-4, 0.5))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Beside, Norm):
    """Each group of channels of a clip to mean 0, variance 1 over time and space.  (c, t, h, w) -> (c, t, h, w)

    fvcore counts 5 per element (4 without scale and shift).
    """

    autocast = "float32"
    groups: int
    """Groups of channels; channels are a multiple of it."""
    eps: float = 1e-5
    """Added to the variance."""
    affine: bool = True
    """Whether a scale and a shift are learnt for each channel."""
    zero_init: bool = False
    """Whether the scale starts at 0, so that a residual block starts as its shortcut."""

    def __post_init__(self) -> None:
        check_scale(self.affine, self.zero_init)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            x.c % self.groups == 0,
            "channels not divisible by groups",
            got=f"{x.c}, groups={self.groups}",
            want=f"a multiple of {self.groups}",
            fix=f"groups: {gcd(x.c, self.groups)}",
        )
        require(
            x.elements > self.groups,
            "group norm over single elements, which gives 0",
            got=f"{x} in {self.groups} groups",
            want="at least 2 elements in each group",
            fix="fewer groups",
        )
        return x

    def cost(self, *xs: Shape) -> Cost:
        return centred_cost(self.affine, xs[0])

    def weights(self, *xs: Shape) -> Weights:
        return scale_and_shift(self.affine, xs[0])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), own_bytes=STATISTICS * self.groups)

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("num_groups", self.groups),
            Argument("num_channels", xs[0].c),
            Argument("eps", self.eps, 1e-5),
            Argument("affine", self.affine, True),
        )
        return Layer("{m}({0})", "nn.GroupNorm", args, zero_scale_init(self.zero_init))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Over more than one element in each group, as torch wants in training."""
        groups, x = draw.integer(1, 4), draw.shape(c=3, least=2)
        fields = draw.choice(({}, {"affine": False}, {"zero_init": True}))
        return cls(groups=groups, **fields), (x._replace(c=x.c * groups),)


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Norm):
    """The channels of each position to mean 0, variance 1.  (c, t, h, w) -> (c, t, h, w); fvcore as for group norm."""

    causality = "frame"
    autocast = "float32"
    passes_extra = True
    eps: float = 1e-6
    """Added to the variance."""
    affine: bool = True
    """Whether a scale and a shift are learnt for each channel."""

    def cost(self, *xs: Shape) -> Cost:
        return centred_cost(self.affine, xs[0])

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """One channel alone is always 0."""
        return (xs[0].c > 1,)

    def weights(self, *xs: Shape) -> Weights:
        return scale_and_shift(self.affine, xs[0])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), own_bytes=STATISTICS * y.positions)

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("normalized_shape", xs[0].c),
            Argument("eps", self.eps, 1e-5),
            Argument("elementwise_affine", self.affine, True),
        )
        return Layer("{m}({0}.movedim(1, -1)).movedim(4, 1)", "nn.LayerNorm", args)


@dataclass(frozen=True, kw_only=True)
class RmsNorm(Norm):
    """The channels of each position over the root of their mean square.  (c, t, h, w) -> (c, t, h, w)

    arXiv:1910.07467. fvcore counts nothing.
    """

    causality = "frame"
    autocast = "float32"
    passes_extra = True
    eps: float = 1e-6
    """Added to the mean square."""

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c,)}

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        return Cost(params=x.c, norm_elements=x.elements, activations=x.elements)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """As the kernel of a GPU has it: one statistic for each position."""
        return Keeps(reads=(0,), own_bytes=STATISTICS // 2 * y.positions)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("normalized_shape", xs[0].c), Argument("eps", self.eps))
        return Layer("{m}({0}.movedim(1, -1)).movedim(4, 1)", "nn.RMSNorm", args)


def centred_cost(affine: bool, x: Shape) -> Cost:
    """Of mean and deviation of each element, then scale and shift, where they are learnt."""
    return Cost(
        params=2 * x.c * affine,
        norm_elements=x.elements,
        fvcore_extra=x.elements * (5 if affine else 4),
        activations=x.elements,
    )


def scale_and_shift(affine: bool, x: Shape) -> Weights:
    """A number for each channel of both, where they are learnt."""
    return with_bias({"weight": (x.c,)}, x.c) if affine else {}


def check_scale(affine: bool, zero_init: bool) -> None:
    """A scale that starts at 0 must exist."""
    require(
        affine or not zero_init,
        "`zero_init` in a norm without scale",
        got="affine=False",
        want="affine=True",
    )
