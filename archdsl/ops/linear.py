"""The linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.ops.base import Cost, Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class Linear(Op):
    """The same affine map of the channels at every position.  (c, t, h, w) -> (out_features, t, h, w)

    `init`: `normal` draws weights from N(0, 0.01^2) and starts the bias at 0, `default` is torch's.
    """

    out_features: int
    bias: bool = True
    init: Literal["normal", "default"] = "normal"
    bias_start: float | None = None
    """What the bias starts at, if not as `init` has it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.out_features >= 1, "no features to write", got=self.out_features, want="at least 1")
        return Shape(self.out_features, *x[1:])

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        weights = x.c * self.out_features
        return Cost(
            params=weights + self.bias * self.out_features,
            linear_macs=weights * x.positions,
            activations=self.out_features * x.positions,
        )
