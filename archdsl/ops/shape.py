"""The size of a value: a map, and tokens beside it."""

from __future__ import annotations

from math import prod
from operator import itemgetter


class Shape(tuple[int, ...]):
    """A value without its batch axis: channels, frames, height, width of a map, and `extra` tokens beside it.

    Tokens beside the map (class, register, query tokens) are as wide as it and lie nowhere in time and space. There are
    4 sizes where there are none, so that a map is (c, t, h, w), else 5. Tokens alone have t = h = w = 0.
    """

    __slots__ = ()

    def __new__(cls, c: int, t: int, h: int, w: int, extra: int = 0) -> Shape:
        return tuple.__new__(cls, (c, t, h, w, extra) if extra else (c, t, h, w))

    def __getnewargs__(self) -> tuple[int, ...]:
        return tuple(self)

    c: int = property(itemgetter(0))  # type: ignore[assignment]
    t: int = property(itemgetter(1))  # type: ignore[assignment]
    h: int = property(itemgetter(2))  # type: ignore[assignment]
    w: int = property(itemgetter(3))  # type: ignore[assignment]

    @property
    def extra(self) -> int:
        """How many tokens stand beside the map."""
        return self[4] if len(self) == 5 else 0

    @property
    def positions(self) -> int:
        """How many places in time and space, and tokens beside them: t * h * w + extra."""
        return prod(self[1:4]) + self.extra

    @property
    def elements(self) -> int:
        """How many numbers: c * positions."""
        return self.c * self.positions

    @property
    def tensor(self) -> tuple[int, ...]:
        """The tensor in torch: (c, t, h, w), or (c, 1, 1, positions) with the extra tokens before the map's rows."""
        return (self.c, 1, 1, self.positions) if self.extra else tuple(self)

    def _replace(self, **sizes: int) -> Shape:
        """A copy with some sizes changed."""
        return Shape(**{**dict(zip(("c", "t", "h", "w", "extra"), self)), **sizes})

    def __repr__(self) -> str:
        return f"Shape{tuple(self)}"

    def __str__(self) -> str:
        beside = f"{self.extra} token{'s' * (self.extra > 1)}"
        if self.extra and not self.t:
            return f"({self.c}, {beside})"
        return f"({', '.join(map(str, self[:4]))})" + (f" and {beside}" if self.extra else "")
