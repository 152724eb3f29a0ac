"""Notebooks: an arch and a plan show drawing and table, a broken arch its faults, a network one line."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.language import Classifier, Clip, Pathway, Stage
from tests.drawn import stages, two


def test_an_arch_shows_what_its_plan_shows():
    shown = two()._repr_html_()
    assert shown == archdsl.compile(two())._repr_html_()
    assert shown.count("<svg ") == shown.count("</svg>") == 1
    assert shown.count("<table ") == 1
    assert "res3" in shown


def test_drawings_of_one_notebook_do_not_share_ids():
    other = two().but(name="other")
    assert 'id="flow-two"' in two()._repr_html_()
    assert 'id="flow-other"' in other._repr_html_()


def test_an_arch_that_cannot_be_shows_why():
    broken = archdsl.Arch(
        name="broken",
        clip=Clip(frames=30, size=64),
        pathways=dict(a=Pathway(every=16, stages=dict(stem=Stage(*stages()["stem"].blocks)))),
        head=Classifier(classes=2),
    )
    shown = broken._repr_html_()
    assert shown.startswith("<pre>")
    assert "a multiple of 16" in shown


def test_a_network_is_one_line():
    network = archdsl.build(two())
    assert repr(network) == "Two: clip (n, 3, 32, 64, 64) -> scores (n, 10)"


def test_the_door_alone_loads_no_report():
    code = "import sys, archdsl; print(any(name.startswith('archdsl.report') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does: the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(TOUR), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(TOUR), "eval"), names) if isinstance(last, ast.Expr) else None


def test_the_tour_is_a_notebook_without_outputs() -> None:
    tour = json.loads(TOUR.read_text(encoding="utf-8"))
    assert (tour["nbformat"], tour["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in tour["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells(tour))


def code_cells(tour: Any) -> list[Any]:
    return [cell for cell in tour["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_tour_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    cells = ["".join(cell["source"]) for cell in code_cells(json.loads(TOUR.read_text(encoding="utf-8")))]
    values = [run_cell(cell, names) for cell in cells]
    shown = [value._repr_html_() for value in values if hasattr(value, "_repr_html_")]
    assert [text.count("<svg ") for text in shown] == [1, 1]  # the arch, and its plan
    out = capsys.readouterr().out
    assert "pathways.slow" in out
    assert "fix" in out
    assert "torch.Size([2, 8])" in out
    assert (tmp_path / "two_speeds.svg").read_text(encoding="utf-8").startswith("<svg")
    assert set(values[-2]) >= {"top1", "top5"}
    assert [0 < loss < 5 for loss in values[-1]] == [True, True]
