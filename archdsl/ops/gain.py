"""Learnt numbers that scale: one for a whole map, or one for each channel."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Op
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Gain(Op):
    """g x, g one learnt number that starts at `start` (ReZero, arXiv:2003.04887).  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    start: float = 0.0
    """What the learnt number starts at."""

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (1,)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), passing_back=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{m}({0})", "Gain", (Argument("start", self.start, 0.0),), needs=runtime("gain", "Gain"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(start=draw.choice((0.0, 1.0))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class LayerScale(Op):
    """Each channel times a learnt number that starts at `start` (arXiv:2103.17239).  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    passes_extra = True
    start: float = 1e-5
    """What each learnt number starts at."""

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c,)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0,), passing_back=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("channels", xs[0].c), Argument("start", self.start, 1e-5))
        return Layer("{m}({0})", "LayerScale", args, needs=runtime("gain", "LayerScale"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(start=draw.choice((1e-5, 0.1))), (draw.shape(),)
