"""How numbers, shapes and places are written for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from archdsl.ops.notation import area, number

UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def short(n: int) -> str:
    """A count as papers print it: 36101963776 -> 36.10G."""
    if abs(n) >= 10**18:  # beyond what a float holds exactly
        return f"{n // 10**12}T"
    for size, unit in UNITS:
        if abs(n) >= size:
            return f"{n / size:.1f}{unit}" if abs(n) >= 100 * size else f"{n / size:.2f}{unit}"
    return str(n)


def whole(n: int) -> str:
    """A count in full: 36101963776 -> 36,101,963,776."""
    return f"{n:,}"


def fraction(n: Fraction) -> str:
    """A fraction in full: 7/2 -> 7/2, 36,000/7; a whole one as `whole` has it."""
    return whole(n.numerator) + (f"/{n.denominator}" if n.denominator > 1 else "")


def signed(n: int) -> str:
    """A change: +1.23M, -4.50G, 0."""
    return f"+{short(n)}" if n > 0 else short(n)


def shape_text(shape: Sequence[int]) -> str:
    """A shape without its batch axis: 3×64×256², 400 for a vector, 768×8×14²+1 with tokens beside the map."""
    return f"{shape[0]}×{size_text(shape)}" if len(shape) in (4, 5) else "×".join(map(str, shape))


def size_text(shape: Sequence[int]) -> str:
    """The size of a map and the number of tokens beside it: 8×14², 8×14²+1, and 5 for tokens alone."""
    _, t, h, w, *extra = shape
    if not extra:
        return area(t, h, w)
    return f"{area(t, h, w)}+{extra[0]}" if t else f"{extra[0]}"


def shape_lines(shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Named shapes; the name is left out where there is one."""
    if len(shapes) == 1:
        return [shape_text(shape) for shape in shapes.values()]
    return [f"{name} {shape_text(shape)}" for name, shape in shapes.items()]


def shapes_text(shapes: Mapping[str, Sequence[int]]) -> str:
    """Named shapes on one line."""
    return ", ".join(shape_lines(shapes))


def span_text(frames: Fraction, tick: Fraction) -> str:
    """Frames seen, and seconds where the frame rate is known: 17 (0.57 s)."""
    return f"{number(frames)} ({float(frames * tick):.2f} s)" if tick else number(frames)


def plural(n: int, noun: str) -> str:
    """A number of things: 1 frame, 2 frames."""
    return f"{whole(n)} {noun}" + ("" if n == 1 else "s")


def percent(part: float, total: float) -> str:
    """A share: 12.3%."""
    return f"{100 * part / total:.1f}%" if total else "-"


def amount(n: int) -> str:
    """27638665216 -> 27.6 G"""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if n >= scale:
            value = n / scale
            return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
    return str(n)


def share_text(share: float) -> str:
    """0.148 -> 15%; what is there but small is <1%."""
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "<1%"


def runs(numbers: Sequence[int]) -> str:
    """Sorted whole numbers with neighbours joined: 1-3, 5, 8-9."""
    joined: list[list[int]] = []
    for n in numbers:
        if joined and n == joined[-1][1] + 1:
            joined[-1][1] = n
        else:
            joined.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in joined)


def seconds_text(value: float) -> str:
    """A time as it is read: 1.27 s, 181 ms, 0.43 ms."""
    if value >= 1:
        return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"
    return f"{1000 * value:.3g} ms"
