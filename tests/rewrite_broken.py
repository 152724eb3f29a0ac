"""Writes the report at the top of every broken spec anew: `python tests/rewrite_broken.py`. Read the diff it makes."""

from __future__ import annotations

import os
from pathlib import Path

from archdsl import SpecError, compile, load
from archdsl.catalog import module_of
from archdsl.recipes import recipe

FOLDER = Path(__file__).parent.parent / "specs" / "broken"


def read(path: Path) -> None:
    """Load a network and compile it, or load a recipe."""
    recipe(path) if path.parts[0] == "recipes" else compile(load(path))


def report(path: Path) -> str:
    """What is said of a file."""
    module_of.cache_clear()
    try:
        read(path)
    except SpecError as error:
        return str(error)
    raise AssertionError(f"{path} is not broken")


def rewritten(path: Path) -> None:
    """Put the report at the top; twice, for it names lines that the report itself moves."""
    for _ in range(3):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        start = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        head = "".join(f"# {line}".rstrip() + "\n" for line in report(path).splitlines())
        path.write_text(head + "".join(lines[start:]), encoding="utf-8")


if __name__ == "__main__":
    os.chdir(FOLDER)
    for file in sorted([*FOLDER.iterdir(), *(FOLDER / "recipes").iterdir()]):
        if file.is_file():
            rewritten(file.relative_to(FOLDER))
