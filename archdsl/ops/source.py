"""Where data enters."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import NOTHING
from archdsl.ops.base import Cost, Op
from archdsl.ops.example import Draw, Example
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Source(Op):
    """A clip as the user hands it over.  nothing -> (c, t, h, w)

    With a `vocabulary` its numbers are ids of tokens, whole and below it.
    """

    reads = 0
    causality = "past"
    kept = NOTHING
    shown = "never"
    shape: Shape
    """The clip's shape (c, t, h, w)."""
    vocabulary: int = 0
    """Of a text: how many ids of tokens there are; 0 where it is none."""

    def out(self, *xs: Shape) -> Shape:
        return self.shape

    def cost(self, *xs: Shape) -> Cost:
        return Cost()

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(shape=draw.shape()), ()
