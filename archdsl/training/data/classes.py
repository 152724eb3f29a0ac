"""Names of classes, where a file beside the videos has them."""

from __future__ import annotations

import json
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.training.data.listing import text_of
from archdsl.written import cut

DIGITS = 9
"""Of a class's number."""


NAMES = ("classes.txt", "labels.txt", "Charades_v1_classes.txt")
"""A name on each line, numbered from 0."""
JSON = ("labels.json", "something-something-v2-labels.json")


def classes_beside(folder: Path) -> dict[str, str]:
    """Class name -> its number as lists write it, in the order of numbers, where a file beside a list has them."""
    if (folder / "classInd.txt").is_file():
        return numbered_lines(folder / "classInd.txt")
    for name in NAMES:
        if (folder / name).is_file():
            found = [line.strip() for line in text_of(folder / name).splitlines() if line.strip()]
            return {line: str(i) for i, line in enumerate(found)}
    for name in JSON:
        if (folder / name).is_file():
            return classes_in_json(folder / name)
    return {}


def numbered_lines(path: Path) -> dict[str, str]:
    """`1 ApplyEyeMakeup` on each line, as UCF101 has it. Raises SpecError."""
    lines = [(i + 1, line.split(maxsplit=1)) for i, line in enumerate(text_of(path).splitlines()) if line.strip()]
    for i, parts in lines:
        if len(parts) != 2 or not parts[0].isdecimal() or len(parts[0]) > DIGITS:
            where = f"{path.name}:{i}"
            raise SpecError("a class that cannot be read", written=where, got=cut(" ".join(parts)), want="1 Archery")
    return {name.strip(): str(int(number)) for _, (number, name) in sorted(lines, key=lambda line: int(line[1][0]))}


def classes_in_json(path: Path) -> dict[str, str]:
    """{name: number}, as Something-Something has it, or [name]."""
    try:
        data = json.loads(text_of(path))
        if isinstance(data, dict):
            return {name: str(int(data[name])) for name in sorted(data, key=lambda name: int(data[name]))}
    except (ValueError, TypeError, RecursionError):
        data = None
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise SpecError("class names that cannot be read", written=path.name, want='{"name": 0} or ["name"]')
    return {name: str(i) for i, name in enumerate(data)}
