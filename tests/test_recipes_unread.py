"""Settings of a recipe that nothing reads, because of another setting's number or of the task, are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.language import change_all
from archdsl.language.recipes.unread import unread_settings
from archdsl.recipes import recipe, recipe_names
from archdsl.training.tasks.choice import TASKS
from tests.trained import DATA, small

IDLE = [
    ({"schedule.warmup": 0, "schedule.start": 0.1}, "schedule.start", {"schedule.warmup": 2}),
    ({"optimizer.momentum": 0, "optimizer.nesterov": True}, "optimizer.nesterov", {"optimizer.momentum": 0.9}),
    (
        {"optimizer.weight_decay": 0, "optimizer.decay_norms": True},
        "optimizer.decay_norms",
        {"optimizer.weight_decay": 1},
    ),
    (
        {"optimizer.groups": [{"match": "*", "rate": 0, "weight_decay": 1}]},
        "optimizer.groups.0.weight_decay",
        {"optimizer.groups": [{"match": "*", "rate": 2, "weight_decay": 1}]},
    ),
    *(
        ({"norms.freeze": "all", f"norms.{name}": value}, f"norms.{name}", {"norms.freeze": "all_but_first"})
        for name, value in {"sync": True, "split": 2, "precise": 8, "momentum": 0.5}.items()
    ),
    ({"augment.magnitude": 9}, "augment.magnitude", {"augment.rand_augment": 2}),
    (
        {"augment.crop": {"corners": {"scales": [0.5], "apart": 2}}},
        "augment.crop.apart",
        {"augment.crop.scales": [1, 0.5]},
    ),
    (
        {"augment.crop": {"jitter": {"short_side": [64, 64], "inverse": True}}},
        "augment.crop.inverse",
        {"augment.crop.short_side": [64, 80]},
    ),
    ({"views.join": "max"}, "views.join", {"views.clips": 2}),
    ({"evaluate_every": None, "patience": 2}, "patience", {"evaluate_every": 1}),
]


@pytest.mark.parametrize(("changes", "path", "mend"), IDLE, ids=[path for _, path, _ in IDLE])
def test_what_another_setting_leaves_idle_is_named_until_it_is_read(
    changes: dict[str, Any], path: str, mend: dict[str, Any]
) -> None:
    idle = change_all(recipe("smoke"), list(changes.items()))
    found = unread_settings(idle)
    assert [one.partition(":")[0] for one in found] == [path]
    assert unread_settings(change_all(idle, list(mend.items()))) == []


def test_a_setting_says_its_value_and_the_reason() -> None:
    idle = change_all(recipe("smoke"), [("schedule.start", 0.1), ("schedule.warmup", 0)])
    assert unread_settings(idle) == ["schedule.start: 0.1 (schedule.warmup: 0)"]
    assert unread_settings(change_all(idle, [("schedule.start", 0)])) == []  # it asks for nothing


def test_class_scores_are_of_tasks_that_have_them() -> None:
    made = change_all(recipe("smoke"), [("smoothing", 0.1), ("augment.mixup", 0.8)])
    assert unread_settings(made) == []
    assert unread_settings(made, ()) == ["smoothing: 0.1 (its task)", "augment.mixup: 0.8 (its task)"]
    assert {task.name for task in TASKS if task.reads_of_scores} == {"classification", "own_labels"}


def other_recipes() -> set[str]:
    """The recipes of tasks that have no scores of classes."""
    net, others = archdsl.load("slowfast_tiny"), [task for task in TASKS if not task.reads_of_scores]
    told = {task.default_recipe(net, built_in=built_in) for task in others for built_in in (False, True)}
    own = {name for name in recipe_names() if recipe(name).task_and_options("")[0] in [task.name for task in others]}
    return (told | own) - {"smoke"}


def test_recipes_that_come_along_are_read_whole() -> None:
    others = other_recipes()
    assert {"slowfast_ava", "videomae_pretrain"} < others
    found = {name: unread_settings(recipe(name), *[()] * (name in others)) for name in recipe_names()}
    assert not any(found.values()), found


def test_training_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idle = change_all(recipe("smoke", steps=1, batch=2), [("schedule.start", 0.1), ("schedule.warmup", 0)])
    archdsl.train(small(), idle, DATA, out=tmp_path, device="cpu")
    told = capsys.readouterr().err
    assert "warning: settings of the recipe that are not read: schedule.start: 0.1 (schedule.warmup: 0)\n" in told
