"""A task is one file: any that answers the questions trains, is tested and resumed; no other part knows its name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training import Run
from archdsl.training.state.checkpoints import checkpoints_in, read_facts
from archdsl.training.tasks import choice
from archdsl.training.tasks.choice import TASKS, default_recipe, task_for
from tests.filmed import film, numbered_frames
from tests.processes import told_by_two
from tests.toy_task import Places
from tests.trained import GROUPS, entries, losses, short, small


def test_heads_name_their_tasks() -> None:
    named = {name: archdsl.load(name).head.task for name in ("x3d_m", "bmn", "rfcn_r101", "flownet_s", "deeplab_r101")}
    wanted = ["classification", "localisation", "detection", "flow", "segmentation"]
    assert [*named.values()] == wanted
    assert archdsl.load("slowfast_8x8_r50_ava").head.task == "action_detection"
    assert archdsl.load("googlenet_aux").head.task == "classification"


def test_a_recipe_is_found_for_the_task() -> None:
    assert default_recipe(archdsl.load("x3d_m"), "motion").name == "smoke"
    assert default_recipe(archdsl.load("x3d_m"), "videos").name == "slowfast_k400"
    assert default_recipe(archdsl.load("tsm_r50"), "videos").name == "tsn_k400"


@pytest.mark.parametrize(
    ("task", "what", "fix"),
    [
        ("clasification", "no task 'clasification'", "classification"),
        ({"classification": {"colour": 1}}, "recipe.task.classification.colour", None),
        ({"a": {}, "b": {}}, "one task is needed", None),
        ({}, "one task is needed", None),
    ],
)
def test_a_recipe_names_a_task_that_exists(task: object, what: str, fix: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        task_for(archdsl.compile(archdsl.load("slowfast_tiny")), recipe("smoke").but(task=task))
    assert what in str(caught.value)
    assert caught.value.faults[0].fix == fix


def test_there_is_one_task_of_each_name() -> None:
    assert len({kind.name for kind in TASKS}) == len(TASKS)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "TASKS", (*TASKS, Places))


def placing(**changes: Any) -> Recipe:
    return short(augment={"crop": {"jitter": {"short_side": [36, 48]}}, "flip": 0.5}, **changes).but(task="places")


def placed(out: Path, recipe: Recipe, **options: Any) -> Run:
    return archdsl.train(small(GROUPS), recipe, "motion:24", out=out, device="cpu", quiet=True, **options)


def weights_of(run: Run) -> list[Tensor]:
    return [weights.detach() for weights in run.network.parameters()]


def equal(one: Run, other: Run) -> bool:
    return all(map(torch.equal, weights_of(one), weights_of(other)))


@pytest.mark.usefixtures("toy")
def test_another_task_trains_is_resumed_tested_and_predicts(tmp_path: Path) -> None:
    """Resumed from its second step with two readers it is bit for bit the same; its best figure is the smallest."""
    run = placed(tmp_path / "a", placing(steps=4, save_every=2, evaluate_every=2, keep=9, average=0.9))
    checkpoints = checkpoints_in(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    resumed = placed(tmp_path / "b", run.recipe, resume=checkpoints_in(tmp_path / "b")[0], workers=2)
    assert equal(run, resumed)
    figures = {one["step"]: one["miss_px"] for one in entries(tmp_path / "a") if "miss_px" in one}
    best = read_facts(checkpoints[-1]).best
    assert best is not None
    assert best.figures["miss_px"] == min(figures.values())
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "b"))
    tested = archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True, out=tmp_path / "tested")
    assert tested.figures["miss_px"] == pytest.approx(run.figures["miss_px"])
    assert json.loads((tmp_path / "tested" / "results.json").read_text())["figures"] == tested.figures
    film(tmp_path / "a.mp4", numbered_frames(12, 32, 32))
    (said,) = archdsl.predict(tmp_path / "a", [tmp_path / "a.mp4"], device="cpu")
    assert len(said.record()["point"]) == 2


@pytest.mark.usefixtures("toy")
def test_its_micro_batches_count_by_their_amounts(tmp_path: Path) -> None:
    """Clips have one to three places: a mean of micro-batches' means would weigh them otherwise."""
    whole, parts = (placed(tmp_path / str(n), placing(steps=3, optimizer__accumulate=n)) for n in (1, 4))
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), rel=1e-5)
    for one, other in zip(weights_of(whole), weights_of(parts)):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("toy")
def test_its_options_and_half_precision(tmp_path: Path) -> None:
    once = placing(steps=1)
    placed(tmp_path / "once", once)
    placed(tmp_path / "thrice", once.but(task={"places": {"scale": 3}}))
    placed(tmp_path / "half", once.but(precision="bf16"))
    assert losses(tmp_path / "thrice")[1] == pytest.approx(3 * losses(tmp_path / "once")[1])
    assert losses(tmp_path / "half")[1] == pytest.approx(losses(tmp_path / "once")[1], rel=0.05)


def as_one(out: Path, rank: int) -> dict[int, float]:
    choice.TASKS = (*TASKS, Places)
    run = placed(out / "two", placing(steps=3))
    return losses(out / "two") | {9: run.figures["miss_px"]}


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    run = placed(tmp_path / "one", placing(steps=3))
    first, second = told_by_two(as_one, tmp_path)
    assert first == second
    alone = losses(tmp_path / "one") | {9: run.figures["miss_px"]}
    assert {int(step): loss for step, loss in first.items()} == pytest.approx(alone, rel=1e-4)
