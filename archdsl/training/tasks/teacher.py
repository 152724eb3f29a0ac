"""A trained network that another one learns from (distillation)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.state.initial_weights import network_with_weights
from archdsl.training.state.run_reader import classes_of_weights, read_run


def load_teacher(run: str, plan: Plan, classes: tuple[str, ...], recipe: Recipe) -> nn.Module:
    """The network of a run, or of a checkpoint in it, for tests alone.

    Raises SpecError where it reads other clips than the network that learns, or tells other classes apart.
    """
    path = Path(run)
    folder = path if (path / "run.json").exists() else path.parent.parent
    teacher, known = compile(load(read_run(folder).arch)), classes_of_weights(path) or ()

    def check(noun: str, got: Any, want: Any) -> None:
        if got != want:
            raise SpecError(
                f"a teacher of other {noun}",
                at="recipe.task.classification.teacher.run",
                written=recipe.written,
                got=f"{run}: {got}",
                want=str(want),
            )

    check("clips", {name: tuple(shape) for name, shape in teacher.inputs.items()}, dict(plan.inputs))
    check("frames of its clips", dict(teacher.frames_read), dict(plan.frames_read))
    check("classes", ", ".join(known[:5]), ", ".join(classes[:5]))
    network = network_with_weights(teacher.of_frames_read, path).eval()
    return network.requires_grad_(False)
