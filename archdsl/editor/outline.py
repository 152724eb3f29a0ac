"""A YAML text as a tree of places: which keys lead to which characters, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from archdsl.spec.parser import LOADER, check_depth

Path = tuple[str, ...]
"""Keys, and places in lists as text, from the top of a document."""


class Position(NamedTuple):
    """A place between characters, both counted from 0."""

    line: int
    column: int


class Range(NamedTuple):
    """Characters from a start up to an end."""

    start: Position
    end: Position

    def holds(self, position: Position) -> bool:
        """Whether a position lies within, its ends included."""
        return self.start <= position <= self.end


@dataclass(frozen=True)
class Place:
    """What stands at a path: where its key is written (None in a list), where its value, and the value's text."""

    path: Path
    key: Range | None
    value: Range
    text: str | None
    """The text of a scalar; None for a mapping or a list."""

    @property
    def line(self) -> int:
        """The line that an error names: the key's, or the value's in a list."""
        return (self.key or self.value).start.line


@dataclass(frozen=True)
class Outline:
    """Every place of a document, in the order of the text."""

    places: tuple[Place, ...]

    def at(self, position: Position) -> Place | None:
        """The innermost place whose key or value holds a position."""
        found = [place for place in self.places if (place.key and place.key.holds(position)) or inside(place, position)]
        return max(found, key=lambda place: len(place.path), default=None)

    def place(self, path: Path) -> Place | None:
        """The place of a path, or None."""
        return next((place for place in self.places if place.path == path), None)

    def children(self, path: Path) -> list[Place]:
        """The places right below a path."""
        return [place for place in self.places if len(place.path) == len(path) + 1 and place.path[:-1] == path]

    def names(self, *path: str) -> list[str]:
        """The keys of the mapping at a path."""
        return [place.path[-1] for place in self.children(path) if place.key]


def inside(place: Place, position: Position) -> bool:
    """Whether a value holds a position. A block's last end is the start of the next line, which is not its own."""
    end = place.value.end
    return place.value.start <= position <= end and (position != end or end.column > 0)


def outline(text: str) -> Outline:
    """The places of a text. Raises yaml.YAMLError where it is no YAML, SpecError where it is nested too deeply."""
    check_depth(text, "text")
    node = yaml.compose(text, Loader=LOADER)
    return Outline(tuple(node_places(node, (), None, set())) if node else ())


def node_places(node: yaml.Node, path: Path, key: yaml.Node | None, seen: set[int]) -> Iterator[Place]:
    """The place of a node and those below it; what an alias repeats is not entered again."""
    scalar = str(node.value) if isinstance(node, yaml.ScalarNode) else None
    yield Place(path, range_of(key) if key else None, range_of(node), scalar)
    if id(node) in seen:
        return
    seen.add(id(node))
    for name, inner, below in entries(node):
        yield from node_places(inner, (*path, name), below, seen)


def entries(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node | None]]:
    """(name, value, key) of what a node holds."""
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value, key) for key, value in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        yield from ((str(i), value, None) for i, value in enumerate(node.value))


def range_of(node: Any) -> Range:
    """The characters of a node."""
    start, end = node.start_mark, node.end_mark
    return Range(Position(start.line, start.column), Position(end.line, end.column))
