"""Norms by statistics of the batch, which are buffers and never counted."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import INPUT, NOTHING, Keeps
from archdsl.ops.base import Cost, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, runtime, with_bias, zero_scale_init
from archdsl.ops.norm import Norm, check_scale
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Norm):
    """Each channel to mean 0, variance 1 over batch, time and space.  (c, t, h, w) -> (c, t, h, w)

    fvcore counts 2 per element in eval mode (1 without scale).
    """

    causality = "frame"
    batch_statistics = True
    passes_extra = True
    kept = INPUT
    eps: float = 1e-5
    """Added to the variance."""
    momentum: float = 0.1
    """Share of the new batch in the running statistics."""
    affine: bool = True
    """Whether a shift, and by `scale` a scale, is learnt for each channel."""
    scale: bool = True
    """Without it only a shift is learnt, as TensorFlow's Inception nets do it."""
    zero_init: bool = False
    """Start with scale 0, so that a residual block begins as the identity (arXiv:1706.02677)."""

    def __post_init__(self) -> None:
        check_scale(self.affine, self.zero_init)
        require(
            self.scale or not self.zero_init,
            "`zero_init` in a norm without scale",
            got="scale=False",
            want="scale=True",
        )

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        return Cost(
            params=(1 + self.scale) * x.c * self.affine,
            norm_elements=x.elements,
            fvcore_extra=x.elements * (1 + (self.affine and self.scale)),
            activations=x.elements,
        )

    def weights(self, *xs: Shape) -> Weights:
        return with_bias({"weight": (xs[0].c,)} if self.affine and self.scale else {}, self.affine * xs[0].c)

    def buffers(self, *xs: Shape) -> int:
        """Running means and variances, and a count of batches."""
        return 8 * xs[0].c + 8

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("num_features", xs[0].c),
            Argument("eps", self.eps, 1e-5),
            Argument("momentum", self.momentum, 0.1),
            Argument("affine", self.affine, True),
        )
        if self.affine and not self.scale:
            return Layer("{m}({0})", "ShiftNorm", args[:3], needs=runtime("norm", "ShiftNorm"))
        return Layer("{m}({0})", "nn.BatchNorm3d", args, zero_scale_init(self.zero_init))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """With scale and shift, without both, from 0, or with a shift alone."""
        fields = draw.choice(({}, {"affine": False}, {"zero_init": True}, {"scale": False}))
        return cls(**fields), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class FrozenNorm(Norm):
    """A batch norm that learns nothing: scale, shift and statistics are buffers.  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    passes_extra = True
    kept = NOTHING
    eps: float = 1e-5
    """Added to the variance."""

    def cost(self, *xs: Shape) -> Cost:
        n = xs[0].elements
        return Cost(norm_elements=n, activations=n)

    def buffers(self, *xs: Shape) -> int:
        return 16 * xs[0].c

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("channels", xs[0].c), Argument("eps", self.eps, 1e-5))
        return Layer("{m}({0})", "FrozenNorm", args, needs=runtime("norm", "FrozenNorm"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(eps=draw.choice((1e-5, 1e-3))), (draw.shape()._replace(extra=draw.integer(0, 2)),)
