"""Where a cursor stands in a text that is being written, and so maybe is no YAML yet: the path, and key or value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_letters, digits

import yaml

from archdsl.editor.outline import Outline, Path, Position, outline
from archdsl.errors import SpecError

MARK = "zzcursorzz"
LETTERS = f"{ascii_letters}{digits}_.$*+"
"""What a word or a path is written in."""
CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True)
class Hole:
    """What is being written: a key of the mapping at a path, or maybe its whole value, and the letters so far."""

    path: Path
    value: bool
    """Whether nothing else stands at the path, so that a word may be the whole value."""
    word: str
    outline: Outline

    @property
    def present(self) -> set[str]:
        """Keys that the mapping has already."""
        return set(self.outline.names(*self.path)) - {MARK}


def hole_at(text: str, position: Position) -> Hole | None:
    """The hole at a position, or None in a comment or where the text around it has no form.

    The word at the cursor is replaced by a mark; the text is then read as it stands, with its open brackets closed,
    or without what follows, whichever is YAML.
    """
    lines = text.split("\n")
    if position.line >= len(lines):
        lines += [""] * (position.line - len(lines) + 1)
    line = lines[position.line]
    before, after = line[: position.column], line[position.column :]
    if is_comment(before):
        return None
    start = len(before.rstrip(LETTERS))
    rest = after.lstrip(LETTERS)
    head, word = before[:start], before[start:]
    above, below = lines[: position.line], lines[position.line + 1 :]
    for following in (below, indented_less(below, head), []):
        for written in marked_lines(head, rest):
            if found := hole_in("\n".join([*above, written, *following]), word):
                return found
    return None


def is_comment(before: str) -> bool:
    """Whether a comment begins before the cursor."""
    return before.lstrip().startswith("#") or " #" in before


def marked_lines(head: str, rest: str) -> Iterator[str]:
    """Ways to read a line with a mark at the cursor."""
    gap = "" if not head or head[-1] in " {[-" else " "
    closed = "".join(reversed(open_brackets(head)))
    yield f"{head}{gap}{MARK}{rest}"
    yield f"{head}{gap}{MARK}{closed}"
    if not rest.lstrip().startswith(":"):
        yield f"{head}{gap}{MARK}: {rest}"
        yield f"{head}{gap}{MARK}: null{rest}"
        yield f"{head}{gap}{MARK}: null{closed}"


def open_brackets(head: str) -> list[str]:
    """What closes the brackets that a line opens."""
    wanted: list[str] = []
    for letter in head:
        if letter in CLOSING:
            wanted.append(CLOSING[letter])
        elif wanted and letter == wanted[-1]:
            wanted.pop()
    return wanted


def indented_less(below: list[str], head: str) -> list[str]:
    """What follows from the next line that is indented less than the cursor's: what stands between may depend on it."""
    depth = len(head) - len(head.lstrip())
    for i, line in enumerate(below):
        if line.strip() and len(line) - len(line.lstrip()) < depth:
            return below[i:]
    return []


def hole_in(text: str, word: str) -> Hole | None:
    """The hole of a text with the mark in it."""
    try:
        places = outline(text)
    except (yaml.YAMLError, SpecError, RecursionError):
        return None
    for place in places.places:
        if place.path and place.path[-1] == MARK and place.key:
            return Hole(place.path[:-1], value=False, word=word, outline=places)
        if place.text == MARK:
            return Hole(place.path, value=True, word=word, outline=places)
    return None
