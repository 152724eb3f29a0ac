"""What a spec or a recipe in YAML extends: a name, or another file, through the door that every file goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from archdsl.errors import Fault, SpecError, excerpt
from archdsl.spec.budget import MOST_EXTENDS
from archdsl.spec.files import regular
from archdsl.spec.lines import Lines

T = TypeVar("T")
SUFFIXES = (".py", ".yaml", ".yml", ".json")
"""Of files of specs and recipes."""


def base_of(
    data: Lines,
    path: Path,
    above: tuple[Path, ...],
    having: tuple[str, str],
    named: Callable[[str], T],
    read: Callable[[Path, tuple[Path, ...], Lines], T],
) -> T:
    """What a document extends: `named`, or `read` from another YAML or JSON file, which has one key of `having`.

    `above` are the files that extend this one. Raises SpecError.
    """
    base, line = base_named(data)
    above = (*above, path.resolve())
    if base.endswith(SUFFIXES):
        return read(*extended_file(base, line, path, above, having))
    try:
        return named(base)
    except SpecError as error:
        raise error.placed("extends", line) from None


def check_beside(data: Lines, known: tuple[str, ...], fix: Callable[[str], str | None]) -> None:
    """Raise SpecError for keys that do not stand beside `extends`; `fix` is what to write in place of one."""
    want = ", ".join(known)
    faults = [
        Fault(what=f"{key} beside extends", at=key, written=data.keys_written[key], got=key, want=want, fix=fix(key))
        for key in data
        if key not in known
    ]
    if faults:
        raise SpecError(faults)


def base_named(data: Lines) -> tuple[str, str]:
    """What a document extends, and the line that says so. Raises SpecError for Python, which would be executed."""
    base, line = data["extends"], data.keys_written["extends"]
    if not isinstance(base, str):
        want = "a name, or a .yaml or .json file"
        raise SpecError("`extends` is not a name", at="extends", written=line, got=excerpt(repr(base)), want=want)
    if base.partition(":")[0].endswith(".py"):
        raise SpecError(
            "a data file that extends Python",
            at="extends",
            written=line,
            got=base,
            want="a name, or a .yaml or .json file",
        )
    return base, line


def extended_file(
    base: str, line: str, path: Path, above: tuple[Path, ...], having: tuple[str, str]
) -> tuple[Path, tuple[Path, ...], Lines]:
    """(path, files above, what it says) of the file that a document extends: a mapping with one key of `having`.

    What a file of another kind says is not repeated: who wrote its name here may not be one who may read it.
    """
    from archdsl.spec.parser import read_data

    other = path.parent / base
    try:
        if regular(other) in above or len(above) > MOST_EXTENDS:
            ring = " -> ".join(p.name for p in (*above[-4:], other))
            want = f"at most {MOST_EXTENDS} files, the last without `extends`"
            raise SpecError("`extends` in a cycle, or too long a chain", got=ring, want=want)
        data = read_data(other)
        if not set(having) & set(data):
            got, want = f"a mapping without {' and '.join(having)}", f"a mapping with {' or '.join(having)}"
            raise SpecError("not a spec", got=got, want=want)
    except SpecError as error:
        faults = (replace(fault, got=None if fault.written else fault.got) for fault in error.faults)
        raise SpecError(faults).placed("extends", line) from None
    return other, above, data
