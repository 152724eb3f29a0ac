"""Read a run's folder: arch, recipe, classes, data, last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.report.figures import metric_text
from archdsl.spec.files import is_regular
from archdsl.training.state.checkpoints import checkpoints_in, read_facts, step_number
from archdsl.training.state.records import RunInfo, read_record


class TrainedRun(NamedTuple):
    """The contents of a run's folder."""

    arch: Path
    """Its arch.yaml."""
    recipe: Recipe
    classes: tuple[str, ...]


def read_run(folder: Path) -> TrainedRun:
    """Read a run's folder. Raises SpecError for other folders, and for one without a checkpoint."""
    missing = [name for name in ("recipe.yaml", "run.json") if not is_regular(folder / name)]
    if missing:
        want = "a folder that archdsl train wrote"
        raise SpecError(f"{folder} is not a run's folder", got=f"no {', no '.join(missing)}", want=want)
    if not is_regular(folder / "arch.yaml"):
        raise SpecError(
            f"{folder} has no arch.yaml",
            got="an arch with blocks of its own in Python",
            want="the Python file of the arch",
            fix=f"give the file's path in place of {folder}, with --weights {folder} --recipe {folder}/recipe.yaml",
        )
    if not checkpoints_in(folder):
        raise SpecError(
            f"{folder} has no checkpoint", want="a run with a checkpoint", fix="archdsl train ... resumes it"
        )
    return TrainedRun(folder / "arch.yaml", recipe(folder / "recipe.yaml"), run_classes(folder))


def describe_checkpoint(checkpoint: Path) -> str:
    """The step of a run's last checkpoint, and where a better one is. Raises SpecError for a damaged one."""
    facts = read_facts(checkpoint)
    best = facts.best
    if best is None or best.step == facts.step:
        return f"step {facts.step}, the run's last" + (" and its best" if best else "")
    name, value = next(iter(best.figures.items()))
    found = checkpoints_in(checkpoint.parent.parent)
    kept = [f": --weights {path}" for path in found if step_number(path) == best.step] or [", which is not kept"]
    figure = metric_text(name, value)
    return f"step {facts.step}, the run's last; {name} was best at step {best.step}, {figure}{kept[0]}"


def run_classes(folder: Path) -> tuple[str, ...]:
    """The names of a run's classes, in the order of labels. Raises SpecError where they cannot be read."""
    return tuple(read_record(RunInfo, folder / "run.json").classes)


def classes_of_weights(weights: Path) -> tuple[str, ...] | None:
    """The classes of the run that weights belong to (its folder, or a checkpoint in it); None for other weights."""
    for folder in (weights, weights.parent.parent) if weights.is_dir() else ():
        if (folder / "run.json").exists():
            return run_classes(folder)
    return None


def data_of_weights(weights: Path) -> str | None:
    """The training data of the run that weights belong to; None for other weights, or where it is not recorded."""
    for folder in (weights, weights.parent.parent) if weights.is_dir() else ():
        if (folder / "run.json").exists():
            return read_record(RunInfo, folder / "run.json").data
    return None
