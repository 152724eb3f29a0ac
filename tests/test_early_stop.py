"""Runs that end early, the best checkpoint by any metric, and curves."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.errors import SpecError
from archdsl.report.curves import MOST_POINTS, curves_svg, thinned
from archdsl.training.evaluation.scores import Scores
from archdsl.training.state.checkpoints import checkpoints_in, read_facts
from archdsl.training.state.compatibility import recipe_changes
from tests.trained import DATA, entries, short, small


def scored(monkeypatch: pytest.MonkeyPatch, top1: list[float], other: list[float]) -> None:
    """Evaluations of given figures, one after the other."""
    figures = iter([{"top1": a, "mean_class": b} for a, b in zip(top1, other, strict=True)])
    monkeypatch.setattr(Scores, "figures", property(lambda scores: next(figures)))


def test_training_ends_when_nothing_gets_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Best at step 2, then two that are not: the run ends after step 4, and again ends there when it is resumed."""
    scored(monkeypatch, [0.1, 0.5, 0.4, 0.5], [0.0] * 4)
    recipe = short(steps=9, evaluate_every=1, patience=2, save_every=9)
    for _ in range(2):
        run = archdsl.train(small(), recipe, DATA, out=tmp_path, device="cpu", quiet=True)
        assert run.step == 4
        assert not run.stopped
        assert [one["step"] for one in entries(tmp_path) if "top1" in one] == [1, 2, 3, 4]
    assert {one["top1"] for one in entries(tmp_path) if "top1" in one} == {0.1, 0.5, 0.4}


def test_the_best_is_told_by_any_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, [0.1, 0.5, 0.6], [0.3, 0.9, 0.2])
    recipe = short(steps=3, evaluate_every=1, best_by="mean_class", keep=1)
    archdsl.train(small(), recipe, DATA, out=tmp_path, device="cpu", quiet=True)
    last = checkpoints_in(tmp_path)[-1]
    best = read_facts(last).best
    assert best is not None
    assert (best.step, best.figures) == (2, {"mean_class": 0.9, "top1": 0.5})
    assert checkpoints_in(tmp_path)[0].name.endswith("2")


def test_a_metric_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no metric of that name") as caught:
        archdsl.train(small(), short(steps=1, best_by="top2"), DATA, out=tmp_path, device="cpu", quiet=True)
    assert "want    top1, top5, mean_class" in str(caught.value)


def test_a_run_leaves_its_curves(tmp_path: Path) -> None:
    archdsl.train(small(), short(steps=3, evaluate_every=1), DATA, out=tmp_path, device="cpu", quiet=True)
    text = (tmp_path / "curves.svg").read_text()
    words = {one.text for one in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")}
    figures = entries(tmp_path)[-1]
    assert f"top1: {figures['top1']:.4g}" in words
    assert {"step 1", "step 3"} <= words


def test_curves_of_any_length_are_drawn() -> None:
    long = [(step, float(step % 7)) for step in range(10 * MOST_POINTS + 3)]
    assert len(thinned(long)) <= MOST_POINTS + 1
    assert thinned(long)[-1] == long[-1]
    one = curves_svg([{"step": 5, "loss": 2.0}], "one <&>")
    assert "one &lt;&amp;&gt;" in one
    assert "loss: 2" in one


def test_a_run_records_what_differs_from_its_recipe(tmp_path: Path) -> None:
    """Only what touches the weights: not how often is logged."""
    changed = short(steps=150, log_every=3).but(batch=16)
    assert recipe_changes(changed) == {}
    assert recipe_changes(short(optimizer__rate=0.5)) == {
        "steps": ["150", "6"],
        "batch": ["16", "8"],
        "optimizer.rate": ["0.1", "0.5"],
    }
    archdsl.train(small(), short(steps=1), DATA, out=tmp_path, device="cpu", quiet=True)
    assert json.loads((tmp_path / "run.json").read_text())["changed"]["batch"] == ["16", "8"]
    assert recipe_changes(short().but(name="mine")) == {}
