"""A task is one file: any that answers the questions trains, is tested and resumed; no other part knows its name."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.errors import SpecError
from archdsl.recipes import recipe
from archdsl.training.tasks.choice import TASKS, default_recipe, task_for


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
