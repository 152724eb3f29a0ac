"""Numbers as a person writes them, in files and on the command line: read exactly, and within the budget."""

from __future__ import annotations

import re
from fractions import Fraction

from archdsl.errors import SpecError
from archdsl.spec.budget import LARGEST_NUMBER, MOST_DIGITS

EXACT = re.compile(r"[+-]?(\d+/\d+|(?=\.?\d)\d*\.?\d*(e[+-]?\d{1,2})?)", re.ASCII | re.IGNORECASE)
WHOLE_NUMBER = re.compile(r"\d+", re.ASCII)
NUMERIC = re.compile(r"[+-]?[\d./_]*\d[\d./_]*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
NUMBER_WANTED = f"a number such as 30, 29.97 or 1/8, from {1 / LARGEST_NUMBER:g} to {LARGEST_NUMBER:g}"


def exact_fraction(value: str | float) -> Fraction:
    """30, 29.97, 30000/1001 or 4.7e9 as it was written. Raises ValueError with what was wanted for anything else."""
    text = "" if isinstance(value, int) and abs(value) > LARGEST_NUMBER else str(value).strip()
    below = text.partition("/")[2] or "1"
    number = Fraction(text) if len(text) <= MOST_DIGITS and EXACT.fullmatch(text) and below.strip("0") else None
    if number is None or (number and not 1 <= abs(number) * LARGEST_NUMBER <= LARGEST_NUMBER**2):
        raise ValueError(NUMBER_WANTED)
    return number


def check_text(text: str) -> str:
    """The text itself. Raises ValueError where it is a number of more digits than any needs: to read it takes long."""
    found = NUMERIC.fullmatch(text)
    if found and (len(text) > MOST_DIGITS or len((found[1] or "").strip("eE+-")) > 2):
        raise ValueError(NUMBER_WANTED)
    return text


def whole_number(text: str) -> int:
    """A whole number in digits. Raises ValueError with what was wanted for anything else."""
    if len(text) > MOST_DIGITS or not WHOLE_NUMBER.fullmatch(text) or int(text) > LARGEST_NUMBER:
        raise ValueError(f"a whole number of at most {LARGEST_NUMBER:g}")
    return int(text)


def views_of(text: str) -> tuple[int, int]:
    """(clips, crops) of `10x3`, or of `10` with one crop. Raises SpecError for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text, re.ASCII)
    if not found:
        raise SpecError("invalid views", got=text, want="clips x crops, such as 10x3")
    return int(found[1]), int(found[2] or "1")
