"""What a spec or a recipe in YAML extends: a name, or another file, through the door that every file goes through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archdsl.errors import SpecError, excerpt
from archdsl.spec.budget import MOST_EXTENDS
from archdsl.spec.files import regular
from archdsl.spec.lines import Lines


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
