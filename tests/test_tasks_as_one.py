"""Two processes equal one, for every task: the same losses and the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.training.tasks.choice import TASKS, default_recipe, task_for
from tests.processes import told_by_two
from tests.test_tasks_killed import ARCHES
from tests.trained import losses, short


def test_every_task_is_among_them() -> None:
    """So that each is killed and resumed, and split over processes."""
    found = {task_for(archdsl.compile(arch), default_recipe(arch, "motion")).name for arch in ARCHES.values()}
    assert found | {"classification"} == {kind.name for kind in TASKS}


def shared_run(out: Path, rank: int, name: str) -> dict[str, Any]:
    """What each of two processes, or one, ends with. Batch norms are frozen: theirs would be of a process's clips."""
    crop = {"flip": 0.5, "crop": {"jitter": {"short_side": [36, 48]}}}
    made = short(steps=3, augment=crop, average=0.9, optimizer__rate=0.01, norms__freeze="all")
    run = archdsl.train(ARCHES[name], made, "motion:16", out=out, device="cpu", quiet=True)
    return {"losses": losses(out) if rank == 0 else {}, "figures": run.figures}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHES)
def test_two_processes_are_as_one(name: str, tmp_path: Path) -> None:
    first, second = told_by_two(shared_run, tmp_path / "two", name, timeout=600)
    alone = shared_run(tmp_path / "one", 0, name)
    assert first["figures"] == second["figures"] == pytest.approx(alone["figures"], rel=1e-3, abs=1e-3)
    assert {int(step): loss for step, loss in first["losses"].items()} == pytest.approx(alone["losses"], rel=1e-4)
