"""Which source elements reach which elements along time: one bit for each source element."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from operator import or_
from typing import TypeVar

Seq = TypeVar("Seq", tuple[int, ...], range)
Seen = tuple[int, ...]
"""For each element along time the source elements it sees, one bit each."""


def slice_of(things: Seq, places: range) -> Seq:
    """Those of the places that there are: a window may reach far beyond the ends."""
    first = places.start if places.start >= 0 else places.start % places.step
    return things[first : max(places.stop, first) : places.step]


def union(seen: Seen) -> int:
    """What all elements see."""
    return reduce(or_, seen, 0)


def everything(seen: tuple[Seen, ...], t: int) -> Seen:
    """`t` elements each of which sees all there is."""
    return (union(tuple(map(union, seen))),) * t


def merged(*seen: Seen) -> Seen:
    """Elements side by side; one element stands beside all."""
    seen = tuple(filter(None, seen))
    t = max(map(len, seen))
    return tuple(reduce(or_, (one[i if len(one) > 1 else 0] for one in seen)) for i in range(t))


def windowed(seen: Seen, t: int, kernel: int, stride: int, dilation: int, front: int) -> Seen:
    """Each of `t` windows sees what its elements see; padding sees nothing."""
    if kernel == stride == 1 and not front:
        return seen
    starts = range(-front, t * stride - front, stride)
    return tuple(union(slice_of(seen, range(start, start + dilation * kernel, dilation))) for start in starts)


def spread(seen: Seen, t: int, kernel: int, stride: int, dilation: int, front: int) -> Seen:
    """Each element is spread over a window, as a transposed convolution does."""
    found = [0] * t
    for i, one in enumerate(seen):
        start = i * stride - front
        for j in slice_of(range(t), range(start, start + dilation * kernel, dilation)):
            found[j] |= one
    return tuple(found)


def adaptive_windows(seen: Seen, t: int) -> Seen:
    """Windows that part the axis evenly, as adaptive pools and interpolation to the nearest have them."""
    n = len(seen)
    return tuple(union(seen[i * n // t : -(-(i + 1) * n // t)]) for i in range(t))


def interpolated(seen: Seen, t: int) -> Seen:
    """Interpolation between two neighbours."""
    centres = (Fraction(2 * i + 1, 2) * len(seen) / t - Fraction(1, 2) for i in range(t))
    pairs = ((max(int(c // 1), 0), min(int(-(-c // 1)), len(seen) - 1)) for c in centres)
    return tuple(seen[a] | seen[b] for a, b in pairs)


def earlier(seen: Seen) -> Seen:
    """The element before; nothing before the first."""
    return (0, *seen[:-1])


def later(seen: Seen) -> Seen:
    """The next element; nothing after the last."""
    return (*seen[1:], 0)


def around(seen: Seen, reach: int) -> Seen:
    """Every element with so many neighbours on both sides."""
    return tuple(union(seen[max(i - reach, 0) : i + reach + 1]) for i in range(len(seen)))


def repeated(seen: Seen, times: int) -> Seen:
    """Every element several times in a row."""
    return tuple(one for one in seen for _ in range(times))
