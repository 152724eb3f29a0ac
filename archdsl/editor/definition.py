"""Where a name is defined: the base that a spec extends, the pathway or stage or drawn block that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import NamedTuple

from archdsl import catalog
from archdsl.editor.outline import Outline, Path, Place, Position, Range
from archdsl.errors import SpecError
from archdsl.recipes import FOLDER, recipe_names
from archdsl.spec.extends import SUFFIXES

START = Range(Position(0, 0), Position(0, 0))


class Target(NamedTuple):
    """A place in a file."""

    file: FilePath
    range: Range


def definition(outline: Outline, position: Position, file: FilePath) -> Target | None:
    """Where the name at a position is defined, or None."""
    place = outline.at(position)
    if place is None:
        return None
    word = place.path[-1] if place.key and place.key.holds(position) else place.text
    if not word:
        return None
    if place.path == ("extends",) and place.text:
        return base_file(place.text, file)
    for path in paths_of_name(outline, place, word):
        if found := outline.place(path):
            return Target(file, found.key or found.value)
    return None


def base_file(name: str, file: FilePath) -> Target | None:
    """The file of what a document extends."""
    if name.endswith(SUFFIXES):
        path = file.parent / name
        return Target(path, START) if path.is_file() else None
    if name in recipe_names():
        return Target(FOLDER / f"{name}.yaml", START)
    try:
        model = catalog.zoo_model(name)
    except SpecError:
        return None
    return Target(model._file, line_of(model._file, f'"{name}"')) if model._file else None


def line_of(file: FilePath, text: str) -> Range:
    """The first place of a text in a file."""
    for i, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        if text in line:
            start = line.index(text)
            return Range(Position(i, start), Position(i, start + len(text)))
    return START


def paths_of_name(outline: Outline, place: Place, word: str) -> Iterator[Path]:
    """Paths where a name may be defined, most likely first."""
    path = place.path
    if path[:1] == ("edges",) and len(path) >= 3 and path[2] in ("after", "into"):
        end = outline.place((*path[:2], "source" if path[2] == "after" else "target"))
        yield from stage_paths(outline, end.text if end and end.text else "", word.partition(".")[0])
    if path[:1] == ("pathways",) and path[-1] == "after":
        pathway, _, stage = word.partition(".")
        yield from stage_paths(outline, pathway, stage)
    if path[:1] == ("blocks",) and len(path) > 3:
        yield (*path[:2], "steps", word)
        yield (*path[:2], "fields", word.removeprefix("$"))
    if place.key and path[:1] in (("pathways",), ("blocks",), ("edges",)) and len(path) > 3:
        yield ("blocks", word)
    if path[-1] in ("source", "target", "like", "tied_to", "after") or "reads" in path:
        yield ("pathways", word.partition(".")[0])
    if path[-1] in ("clip", "marks"):
        yield ("clips", word)


def stage_paths(outline: Outline, pathway: str, stage: str) -> Iterator[Path]:
    """Where a stage of a pathway is written: there, or in the pathway that it is like."""
    yield ("pathways", pathway, "stages", stage)
    like = outline.place(("pathways", pathway, "like"))
    if like and like.text and like.text != pathway:
        yield ("pathways", like.text, "stages", stage)
    yield ("pathways", pathway)
