"""Random ops, each with shapes that it accepts: what the ops themselves draw, with hypothesis choosing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from archdsl.errors import SpecError
from archdsl.ops import OPS, Op, Shape
from archdsl.ops.example import Example

T = TypeVar("T")


@dataclass(frozen=True)
class Chooser:
    """Chooses by hypothesis, which makes what fails as simple as it can."""

    draw: Callable[[st.SearchStrategy[Any]], Any]

    def integer(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        number: int = self.draw(st.integers(least, most))
        return number

    def choice(self, among: Sequence[T]) -> T:
        """One of several."""
        chosen: T = self.draw(st.sampled_from(among))
        return chosen

    def flag(self) -> bool:
        """Yes or no."""
        return bool(self.draw(st.booleans()))

    def shape(self, c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> Shape:
        """A small map."""
        shape: Shape = self.draw(maps(c, t, s, least))
        return shape


def maps(c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> st.SearchStrategy[Shape]:
    """Shapes of small maps, at most (c, t, s, s) and at least `least` along time and space."""
    return st.builds(Shape, st.integers(1, c), st.integers(least, t), st.integers(least, s), st.integers(least, s))


def ops(*kinds: type[Op]) -> st.SearchStrategy[Example]:
    """(op, shapes of what it reads): one of every op there is, or of the kinds given."""
    return accepted(kinds or OPS).filter(bool).map(lambda found: found[0])


@st.composite
def accepted(draw: Callable[[st.SearchStrategy[Any]], Any], kinds: Sequence[type[Op]]) -> list[Example]:
    """An example of one of the ops; none where its rules refuse it."""
    kind: type[Op] = draw(st.sampled_from(kinds))
    try:
        op, shapes = kind.example(Chooser(draw))
        op.out(*shapes)
    except SpecError:
        return []
    return [(op, shapes)]
