"""Where data enters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archdsl.ops.base import Cost, Op, Shape


@dataclass(frozen=True, kw_only=True)
class Source(Op):
    """A clip as the user hands it over.  nothing -> (c, t, h, w)"""

    reads: ClassVar[int | None] = 0
    shape: Shape

    def out(self, *xs: Shape) -> Shape:
        return self.shape

    def cost(self, *xs: Shape) -> Cost:
        return Cost()
