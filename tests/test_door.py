"""The public door takes an arch or a plan alike, and says what else it was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl import Arch, SpecError
from archdsl.report import span_table, table_of, to_dot, write_drawing
from tests.drawn import two

READERS: dict[str, Callable[[Any], Any]] = {
    "emit": archdsl.emit,
    "table": archdsl.table,
    "table_of": table_of,
    "draw": archdsl.draw,
    "to_dot": to_dot,
    "span_table": span_table,
    "diff": lambda thing: str(archdsl.diff(thing, two().but(name="three"))),
    "admits": lambda thing: str(archdsl.admits(thing)),
    "build": lambda thing: [str(p.shape) for p in archdsl.build(thing).parameters()],
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_the_same_of_an_arch_and_of_its_plan(name: str) -> None:
    arch: Arch = two()
    assert READERS[name](arch) == READERS[name](archdsl.compile(arch))


@pytest.mark.parametrize("name", [*READERS, "compile", "freeze"])
def test_what_is_neither_is_told(name: str) -> None:
    reader = READERS.get(name) or getattr(archdsl, name)
    for thing, fix in (("slowfast_tiny", "archdsl.load('slowfast_tiny')"), (None, None)):
        with pytest.raises(SpecError) as caught:
            reader(thing)
        (fault,) = caught.value.faults
        assert fault.what.startswith("not a")
        assert fault.fix == fix or name == "freeze"


def test_a_drawing_of_an_arch_and_a_model_of_the_zoo(tmp_path: Path) -> None:
    write_drawing(two(), tmp_path / "a.svg")
    write_drawing(archdsl.compile(two()), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()
    (model, *_) = archdsl.zoo.slowfast.models
    assert archdsl.load(model, classes=7).classes == 7
    with pytest.raises(SpecError) as caught:
        archdsl.compile(model)
    assert caught.value.faults[0].fix == "archdsl.load of it"
