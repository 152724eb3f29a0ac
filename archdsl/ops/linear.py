"""The linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.ops.autograd import INPUT, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.layer import Argument, Layer, Weights, init_statements, with_bias
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Linear(Op):
    """The same affine map of the channels at every position.  (c, t, h, w) -> (out_features, t, h, w)

    `init`: `normal` draws weights from N(0, 0.01^2), `trunc_normal` from N(0, 0.02^2), `xavier` by the widths
    before and behind (Glorot), `zeros` none; these start the bias at 0. `default` is torch's.
    """

    causality = "frame"
    autocast = "half"
    passes_extra = True
    widths = ("out_features",)
    out_features: int
    """Channels of the result."""
    bias: bool = True
    """Whether a learnt number is added to each channel."""
    init: Literal["normal", "trunc_normal", "xavier", "zeros", "default"] = "normal"
    """How weights start."""
    bias_start: float | None = None
    """What the bias starts at, if not as `init` has it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.out_features >= 1, "out_features below 1", got=self.out_features, want="at least 1")
        return Shape(self.out_features, *x[1:])

    def cost(self, *xs: Shape) -> Cost:
        (x,) = xs
        weights = x.c * self.out_features
        return Cost(
            params=weights + self.bias * self.out_features,
            linear_macs=weights * x.positions,
            activations=self.out_features * x.positions,
        )

    def weights(self, *xs: Shape) -> Weights:
        return with_bias({"weight": (self.out_features, xs[0].c)}, self.bias * self.out_features)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Channels last: where there are several positions, the rows are a copy."""
        return INPUT if y.positions == 1 else Keeps(own=xs[0].elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"linear {self.out_features}"

    def row(self, x: Shape | None = None) -> str:
        return f"fc, {self.out_features}"

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("in_features", xs[0].c),
            Argument("out_features", self.out_features),
            Argument("bias", self.bias, True),
        )
        inits = init_statements(self.init, self.bias, self.bias_start)
        return Layer("{m}({0}.movedim(1, -1)).movedim(4, 1)", "nn.Linear", args, inits)
