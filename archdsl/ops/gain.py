"""A learnt number that scales a whole map."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.base import Cost, Op, Shape


@dataclass(frozen=True, kw_only=True)
class Gain(Op):
    """g x, g one learnt number that starts at `start` (ReZero, arXiv:2003.04887).  (c, t, h, w) -> (c, t, h, w)"""

    start: float = 0.0

    def cost(self, *xs: Shape) -> Cost:
        return Cost(params=1, activations=xs[0].elements)
