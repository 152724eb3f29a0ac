"""Random ops and neighbours by a seed, where hypothesis is not at hand."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from archdsl.ops.shape import Shape


@dataclass(frozen=True)
class SeededDraw:
    """Chooses by a seed, without hypothesis."""

    rng: Random

    def integer(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return self.rng.randint(least, most)

    def choice(self, among: Any) -> Any:
        """One of several."""
        return among[self.rng.randrange(len(among))]

    def flag(self) -> bool:
        """Yes or no."""
        return self.rng.random() < 0.5

    def shape(self, c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> Shape:
        """A small map."""
        return Shape(self.integer(1, c), *(self.integer(least, most) for most in (t, s, s)))
