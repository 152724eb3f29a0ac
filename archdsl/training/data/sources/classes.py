"""Class names from a file beside the videos."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.sources.manifests import list_text

MAX_CLASS_DIGITS = 9
"""Of a class's number."""
NUMBERED = (
    re.compile(rf"(?P<number>\d{{1,{MAX_CLASS_DIGITS}}})[\s,;:]+(?P<name>.*\S)"),
    re.compile(rf"(?P<name>.*\S)\s*[,;:\t]\s*(?P<number>\d{{1,{MAX_CLASS_DIGITS}}})"),
)
"""A class's name and its number."""


UCF_CLASS_FILE = "classInd.txt"
"""A number, from 1, and a name on each line."""
CLASS_FILES = ("classes.txt", "labels.txt", "Charades_v1_classes.txt")
"""A name on each line, numbered from 0."""
JSON_CLASS_FILES = ("labels.json", "something-something-v2-labels.json")


def classes_beside(folder: Path) -> dict[str, str]:
    """Class name -> its number as lists write it, in the order of numbers, where a file beside a list has them.

    Raises SpecError where several files say different things.
    """
    names = (UCF_CLASS_FILE, *CLASS_FILES, *JSON_CLASS_FILES)
    present = [folder / name for name in names if (folder / name).is_file()]
    if not present:
        return {}
    first, *others = present
    classes = classes_in(first)
    for other in others:
        try:
            found = classes_in(other)
        except SpecError:
            found = {}
        # UCF101's numbers begin with 1: the others are held to its order
        if list(found) != list(classes) or (first.name != UCF_CLASS_FILE and found != classes):
            raise SpecError(
                "files of classes that disagree",
                written=f"{first.name}, {other.name}",
                got="; ".join(f"{path.name}: {told(some)}" for path, some in ((first, classes), (other, found))),
                want="one file with the names of classes, or the same in all",
                fix=f"another name for the wrong one, such as old_{other.name}",
            )
    return classes


def told(classes: dict[str, str]) -> str:
    """The first classes in words."""
    return excerpt(", ".join(f"{number} {name}" for name, number in classes.items())) or "no names of classes"


def classes_in(path: Path) -> dict[str, str]:
    """Class name -> its number in one file. Raises SpecError."""
    if path.name == UCF_CLASS_FILE:
        return numbered_lines(path)
    if path.name in JSON_CLASS_FILES:
        return classes_in_json(path)
    found = [line.strip() for line in list_text(path).splitlines() if line.strip()]
    return numbered_by(with_numbers(found) or [(line, i) for i, line in enumerate(found)], path)


def with_numbers(lines: list[str]) -> list[tuple[str, int]]:
    """(name, number) where each line has both, the number before or behind the name; else none."""
    for form in NUMBERED:
        if lines and all(found := [form.fullmatch(line) for line in lines]):
            return [(one["name"], int(one["number"])) for one in found if one]
    return []


def numbered_lines(path: Path) -> dict[str, str]:
    """`1 ApplyEyeMakeup` on each line, as UCF101 has it. Raises SpecError."""
    lines = [(i + 1, line.split(maxsplit=1)) for i, line in enumerate(list_text(path).splitlines()) if line.strip()]
    for i, parts in lines:
        if len(parts) != 2 or not parts[0].isdecimal() or len(parts[0]) > MAX_CLASS_DIGITS:
            where = f"{path.name}:{i}"
            raise SpecError("cannot parse class", written=where, got=excerpt(" ".join(parts)), want="1 Archery")
    return numbered_by([(name.strip(), int(number)) for _, (number, name) in lines], path)


def classes_in_json(path: Path) -> dict[str, str]:
    """{name: number}, as Something-Something has it, or [name]. Raises SpecError for numbers that are not whole."""
    try:
        data = json.loads(list_text(path), object_pairs_hook=list)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, list) and all(isinstance(name, str) for name in data):
        return numbered_by([(name, i) for i, name in enumerate(data)], path)
    data = data if isinstance(data, list) else []
    pairs = [(one[0], whole_number_in(one[1])) for one in data if isinstance(one, tuple)]
    if not pairs or len(pairs) < len(data) or any(number is None for _, number in pairs):
        raise SpecError("cannot parse class names", written=path.name, want='{"name": 0} or ["name"]')
    return numbered_by([(name, number) for name, number in pairs if number is not None], path)


def whole_number_in(value: Any) -> int | None:
    """A whole number of JSON, or one in quotes; None for anything else."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_CLASS_DIGITS else None


def numbered_by(pairs: list[tuple[str, int]], path: Path) -> dict[str, str]:
    """Name -> number, in the order of numbers. Raises SpecError for what stands there twice."""
    for what, found in (("name", [name for name, _ in pairs]), ("number", [number for _, number in pairs])):
        if twice := [one for one, times in Counter(found).items() if times > 1]:
            got = excerpt(str(twice[0]))
            raise SpecError(f"duplicate class {what}", written=path.name, got=got, want="one class for each label")
    return {name: str(number) for name, number in sorted(pairs, key=lambda pair: pair[1])}
