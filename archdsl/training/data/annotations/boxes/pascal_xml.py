"""PASCAL's XML, which ImageNet has too: the things in a picture, each with the line that names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from archdsl.errors import SpecError, excerpt
from archdsl.spec.files import read_text
from archdsl.training.data.annotations.boxes.boxed_frames import BoxCorners
from archdsl.training.data.clips import Unreadable

MAX_XML_BYTES = 1 << 24
SIDES = ("xmin", "ymin", "xmax", "ymax")


class NamedBox(NamedTuple):
    """A thing: its class's name, its first and last pixel, whether it is hard to see, the line where it begins."""

    name: str
    box: BoxCorners
    difficult: bool
    line: int


@dataclass
class PascalReader:
    """Collects what stands in `annotation/object`."""

    found: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    line: int = 0
    text: str = ""
    cells: dict[str, str] = field(default_factory=dict)

    def begin(self, tag: str, line: int) -> None:
        """An element begins."""
        self.open.append(tag)
        self.text = ""
        if self.open[1:] == ["object"]:
            self.line, self.cells = line, {}

    def end(self, tag: str) -> None:
        """An element ends; parts of an object have boxes of their own, which do not count."""
        if self.open[1:2] == ["object"] and self.open[2:-1] in ([], ["bndbox"]):
            self.cells.setdefault(tag, self.text.strip())
        if self.open[1:] == ["object"]:
            self.found.append((self.line, self.cells))
        self.open.pop()


def read_pascal(path: Path, name: str) -> list[NamedBox]:
    """The things of a picture. Raises Unreadable with the line that is broken."""
    try:
        text = read_text(path, MAX_XML_BYTES)
    except SpecError as error:
        raise Unreadable(name, f"{path.name}: {error.faults[0].what}") from None
    if not text.strip():
        raise Unreadable(name, f"{path.name} is empty")
    reader, parser = PascalReader(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: reader.begin(tag, parser.CurrentLineNumber)
    parser.EndElementHandler = reader.end
    parser.EntityDeclHandler = refuse_entity
    parser.buffer_text = True

    def add(text: str) -> None:
        reader.text += text

    parser.CharacterDataHandler = add
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, SpecError) as error:
        raise Unreadable(name, f"{path.name}: not XML: {error}") from None
    return [named_box(cells, line, path, name) for line, cells in reader.found]


def refuse_entity(*declared: object) -> None:
    """Entities may grow without end; no data set has any. Raises SpecError."""
    raise SpecError("it declares entities")


def named_box(cells: dict[str, str], line: int, path: Path, name: str) -> NamedBox:
    """One thing. Raises Unreadable."""
    where = f"{path.name}:{line}"
    missing = [key for key in ("name", *SIDES) if not cells.get(key)]
    if missing:
        raise Unreadable(name, f"{where}: an object without {', '.join(missing)}")
    sides = [number_of(cells[key]) for key in SIDES]
    if any(one is None for one in sides):
        odd = next(key for key, one in zip(SIDES, sides) if one is None)
        raise Unreadable(name, f"{where}: {odd} is no number: {excerpt(cells[odd])}")
    x1, y1, x2, y2 = (one for one in sides if one is not None)
    return NamedBox(cells["name"], (x1, y1, x2, y2), cells.get("difficult", "0") == "1", line)


def number_of(text: str) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None
