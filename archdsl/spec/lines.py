"""Which line wrote what: mappings that remember it, and the line of code that is running."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pydantic

from archdsl.errors import SpecError, excerpt

PACKAGE_FOLDERS = (str(Path(__file__).parent.parent), str(Path(pydantic.__file__).parent))
WHEEL_SHELF = str(Path(__file__).parent.parent / "_shelf")


class Lines(dict[str, Any]):
    """A mapping read from a file, which remembers the line of itself and of each key."""

    def __init__(self, data: Mapping[str, Any], written: str, keys: Mapping[str, str]) -> None:
        super().__init__(data)
        self.written = written
        self.keys_written = dict(keys)


def check_count(noun: str, things: Any, most: int) -> None:
    """Raise SpecError for more things than a document may have, before any of them is looked at."""
    if isinstance(things, Mapping | list | tuple) and len(things) > most:
        written = getattr(things, "written", None)
        raise SpecError(f"too many {noun}", at=noun, written=written, got=str(len(things)), want=f"at most {most}")


def line_at(data: Any, loc: list[str]) -> str | None:
    """The line of the value at `loc`, or of the nearest mapping around it; parts not in the file are passed over."""
    line = getattr(data, "written", None)
    for part in loc:
        if isinstance(data, Lines) and part in data:
            line = data.keys_written.get(part, data.written)
            data = data[part]
        elif isinstance(data, list | tuple) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        line = getattr(data, "written", line)
    return line


def mapping_at(data: Mapping[str, Any], key: str, want: str) -> Lines:
    """The mapping under a key of a document, an empty one where there is none. Raises SpecError for another value."""
    found = {} if data.get(key) is None else data[key]
    if not isinstance(found, Mapping):
        line, got = line_at(data, [key]), excerpt(repr(found))
        raise SpecError(f"`{key}` is not a mapping", at=key, written=line, got=got, want=want)
    return found if isinstance(found, Lines) else Lines(found, "", {})


def line_outside() -> str | None:
    """`file:line` of the nearest caller that is neither this package nor pydantic."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if line := line_of_frame(frame.f_code.co_filename, frame.f_lineno):
            return line
        frame = frame.f_back
    return None


def line_of_frame(name: str, number: int) -> str | None:
    """`file:line` of a person's code, zoo files among it; None for this package and pydantic."""
    theirs = not name.startswith("<") and (not name.startswith(PACKAGE_FOLDERS) or name.startswith(WHEEL_SHELF))
    return f"{name.rpartition('/')[2]}:{number}" if theirs else None
