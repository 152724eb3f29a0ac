"""docs/testing.md tells the truth: its commands print what it shows, its Python runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_page_names_every_property() -> None:
    from archdsl.testing.properties import PROPERTIES

    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(PROPERTIES)


@pytest.mark.slow
def test_its_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ((command, want),) = [text.removeprefix("$ ").split("\n", 1) for kind, text in FENCED if kind == "console"]
    assert main(command.split()[1:]) == 0
    assert capsys.readouterr().out == want


@pytest.mark.slow
def test_its_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    space: dict[str, Any] = {}
    for text in (text for kind, text in FENCED if kind == "python"):
        exec(text, space)
    tests = [name for name in space if name.startswith("test_")]
    assert len(tests) == 4
    for name in tests:
        space[name]()
