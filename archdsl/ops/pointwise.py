"""Functions of one element at a time, and dropout. No parameters, no multiply-adds by any convention here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.ops.base import Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class Relu(Op):
    """max(x, 0).  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Relu6(Op):
    """min(max(x, 0), 6).  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Op):
    """max(x, slope x).  (c, t, h, w) -> (c, t, h, w)"""

    slope: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Silu(Op):
    """x sigmoid(x), also called swish.  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Op):
    """1 / (1 + exp(-x)).  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Hardsigmoid(Op):
    """min(max(x + 3, 0), 6) / 6.  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Tanh(Op):
    """tanh(x).  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class ScaledTanh(Op):
    """1.7159 tanh(2 x / 3), which is 1 at 1 (LeCun et al. 1998, appendix A).  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Hardswish(Op):
    """x min(max(x + 3, 0), 6) / 6.  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Gelu(Op):
    """x Phi(x), exact.  (c, t, h, w) -> (c, t, h, w)"""


@dataclass(frozen=True, kw_only=True)
class Softmax(Op):
    """exp(x) / sum exp(x) along one axis.  (c, t, h, w) -> (c, t, h, w)"""

    axis: Literal["c", "t", "h", "w"] = "c"

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """Of one element it is 1, whatever that is."""
        return (getattr(xs[0], self.axis) > 1,)


@dataclass(frozen=True, kw_only=True)
class Affine(Op):
    """scale x + shift, both fixed numbers.  (c, t, h, w) -> (c, t, h, w)"""

    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Dropout(Op):
    """Drops elements with probability p in training, the rest scaled up.  (c, t, h, w) -> (c, t, h, w)"""

    p: float = 0.5

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.p < 1, "a dropout that leaves nothing", got=self.p, want="0 <= p < 1")
        return xs[0]
