"""How a random op and the shapes that it reads are drawn, by a chooser that is handed over (hypothesis in tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from fractions import Fraction
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from archdsl.ops.base import Op
from archdsl.ops.shape import Shape

T = TypeVar("T")
SHARES = (Fraction(1, 4), Fraction(1, 2))


class Draw(Protocol):
    """Chooses. Of numbers and lists the first is the simplest."""

    def integer(self, least: int, most: int) -> int:
        """A whole number, both ends included."""

    def choice(self, among: Sequence[T]) -> T:
        """One of several."""

    def flag(self) -> bool:
        """Yes or no."""

    def shape(self, c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> Shape:
        """A small map, at most (c, t, s, s) and at least `least` along time and space."""


Example = tuple["Op", tuple["Shape", ...]]
"""An op and the shapes of what it reads."""


def integers(draw: Draw, least: int, most: int, count: int = 3) -> tuple[int, ...]:
    """Several whole numbers."""
    return tuple(draw.integer(least, most) for _ in range(count))


def random_triple(draw: Draw, least: int = 1, most: int = 3) -> tuple[int, int, int]:
    """A whole number for each of (t, h, w)."""
    t, h, w = integers(draw, least, most)
    return t, h, w


def random_fields(kind: type[Op], draw: Draw, **known: Any) -> dict[str, Any]:
    """A value for every field of an op by its type, but for those that are known."""
    types = get_type_hints(kind)
    return {
        field.name: known[field.name] if field.name in known else random_value(types[field.name], field, draw)
        for field in fields(kind)
    }


def random_value(kind: Any, field: Field[Any], draw: Draw) -> Any:
    """A value of a type: small numbers, a default and half of it, any of several words."""
    default = () if field.default is MISSING else (field.default,)
    if kind is bool:
        return draw.flag()
    if kind is int:
        return draw.integer(1, 4)
    if kind is float:
        return draw.choice([value for one in default or (0.5, 1.0) for value in (one, one / 2)])
    if kind is Fraction:
        return draw.choice((*SHARES, *default))
    if get_origin(kind) is Literal:
        return draw.choice(get_args(kind))
    if get_origin(kind) is tuple and set(get_args(kind)) == {int}:
        return integers(draw, 1, 3, len(get_args(kind)))
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
        return draw.choice((None, *default, 0.0, 0.5)) if float in get_args(kind) else None
    if not default:
        raise TypeError(f"no random values of {kind}: give the op a class method `example`")
    return default[0]
