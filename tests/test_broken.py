"""Every file in specs/broken opens with the report it gets, word for word."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import pytest

from archdsl import SpecError, compile, load
from archdsl.recipes import recipe

FOLDER = Path(__file__).parent.parent / "specs" / "broken"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.is_file())
RECIPES = sorted(f"recipes/{path.name}" for path in (FOLDER / "recipes").iterdir())


def promised(path: Path) -> str:
    """The report in the comment at the top."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


@pytest.mark.parametrize("name", FILES)
def test_a_broken_spec_gets_its_report(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        compile(load(name))
    assert str(caught.value) == promised(FOLDER / name)


@pytest.mark.parametrize("name", RECIPES)
def test_a_broken_recipe_gets_its_report(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        recipe(name)
    assert str(caught.value) == promised(FOLDER / name)


def test_there_are_many_kinds_of_mistake() -> None:
    whats = {promised(FOLDER / name).partition("\n")[0] for name in FILES}
    assert len(whats) >= 60


@pytest.mark.parametrize("name", [*FILES, *RECIPES])
def test_a_report_says_where_and_what_next(name: str) -> None:
    """Each fault has the line that wrote it, or an address, and what was wanted, or a mend."""
    for fault in promised(FOLDER / name).split("\n\n"):
        rows = {line.split()[0] for line in fault.splitlines() if line.startswith("  ")}
        assert rows & {"at", "written"} or name == "python_with_two_models.py", fault
        assert rows & {"want", "fix", "got"}, fault
