"""Names of classes, where a file beside the videos has them."""

from __future__ import annotations

import json
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.training.data.listing import text_of


def classes_beside(folder: Path) -> tuple[str, ...]:
    """Class names in the order of labels, where a file beside a list has them."""
    for name in ("classInd.txt", "classes.txt", "labels.txt", "Charades_v1_classes.txt"):
        if (folder / name).is_file():
            found = [line.strip() for line in text_of(folder / name).splitlines() if line.strip()]
            if name == "classInd.txt":
                return tuple(line.partition(" ")[2] for line in found)
            return tuple(found)
    for name in ("labels.json", "something-something-v2-labels.json"):
        if (folder / name).is_file():
            return classes_in_json(folder / name)
    return ()


def classes_in_json(path: Path) -> tuple[str, ...]:
    """{name: number}, as Something-Something has it, or [name]."""
    try:
        data = json.loads(text_of(path))
        if isinstance(data, dict):
            return tuple(sorted(data, key=lambda name: int(data[name])))
    except (ValueError, TypeError, RecursionError):
        data = None
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise SpecError("class names that cannot be read", written=path.name, want='{"name": 0} or ["name"]')
    return tuple(data)
