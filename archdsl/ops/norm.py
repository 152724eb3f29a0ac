"""Normalisations. Scale and shift are parameters; running statistics are buffers and never counted."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.base import Cost, Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class LocalResponseNorm(Op):
    """x / (k + alpha * sum of the squares of `size` neighbouring channels)^beta.  (c, t, h, w) -> (c, t, h, w)

    As the AlexNet paper writes it (section 3.3). Caffe and torch multiply alpha by the mean instead: theirs is `size`
    times this one. No parameters; fvcore counts nothing.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def out(self, *xs: Shape) -> Shape:
        require(self.size >= 1, "no channels to sum over", got=f"size={self.size}", want="at least 1")
        return xs[0]


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Op):
    """Each channel to mean 0, variance 1 over batch, time and space.  (c, t, h, w) -> (c, t, h, w)

    fvcore counts 2 per element in eval mode (1 without scale).
    """

    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    scale: bool = True
    """Without it only a shift is learnt, as TensorFlow's Inception nets do it."""
    zero_init: bool = False
    """Start with scale 0, so that a residual block begins as the identity (arXiv:1706.02677)."""

    def __post_init__(self) -> None:
        scale_exists(self)
        require(
            self.scale or not self.zero_init,
            "a scale that starts at 0 in a norm without scale",
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


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Op):
    """Each group of channels of a clip to mean 0, variance 1 over time and space.  (c, t, h, w) -> (c, t, h, w)

    fvcore counts 5 per element (4 without scale and shift).
    """

    groups: int
    eps: float = 1e-5
    affine: bool = True
    zero_init: bool = False

    def __post_init__(self) -> None:
        scale_exists(self)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            x.c % self.groups == 0,
            "channels that do not fall into groups",
            got=f"{x.c}, groups={self.groups}",
            want="no rest",
        )
        return x

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        return Cost(
            params=2 * x.c * self.affine,
            norm_elements=x.elements,
            fvcore_extra=x.elements * (5 if self.affine else 4),
            activations=x.elements,
        )


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Op):
    """The channels of each position to mean 0, variance 1.  (c, t, h, w) -> (c, t, h, w); fvcore as for group norm."""

    eps: float = 1e-6
    affine: bool = True

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        return Cost(
            params=2 * x.c * self.affine,
            norm_elements=x.elements,
            fvcore_extra=x.elements * (5 if self.affine else 4),
            activations=x.elements,
        )

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """One channel alone is always 0."""
        return (xs[0].c > 1,)


def scale_exists(op: BatchNorm | GroupNorm) -> None:
    """A scale that starts at 0 must exist."""
    require(
        op.affine or not op.zero_init,
        "a scale that starts at 0 in a norm without scale",
        got="affine=False",
        want="affine=True",
    )
