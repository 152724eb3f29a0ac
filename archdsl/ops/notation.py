"""How kernels, strides and numbers are written for people, in tables and drawings."""

from __future__ import annotations

from fractions import Fraction


def area(t: object, h: object, w: object) -> str:
    """Time and space as papers write them: 4×56², or 4×56×112 where the map is not square."""
    return f"{t}×{h}²" if h == w else f"{t}×{h}×{w}"


def triple(t: object, h: object, w: object) -> str:
    """A stride as papers write it: 1, 2²."""
    return f"{t}, {h}²" if h == w else f"{t}, {h}, {w}"


def number(value: Fraction | float, digits: int = 4) -> str:
    """A fraction as a short decimal: 17, 0.5667."""
    return f"{float(value):.{digits}g}"


def ordinal(n: int) -> str:
    """16 -> 16th"""
    last = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"


def steps(stride: tuple[int, int, int], sign: str = "/") -> str:
    """Strides as t/2 (time) and s/2 (space), upwards t×2; empty where there are none."""
    t, h, w = stride
    space = f"s{sign}{h}" if h == w else f"s{sign}{h},{w}"
    return " ".join(([f"t{sign}{t}"] if t > 1 else []) + ([space] if max(h, w) > 1 else []))
