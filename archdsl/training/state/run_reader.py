"""Read a run's folder: arch, recipe, classes, data, last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from archdsl.backend.weights.files import WEIGHTS_FILE
from archdsl.catalog import ARCH_FILE, load
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.report.figures import metric_text
from archdsl.spec.files import is_regular
from archdsl.training.state.checkpoints import checkpoints_in, read_facts, step_number, tensor_specs
from archdsl.training.state.records import RunInfo, read_record

SHOWN_CLASSES = 4
"""Names of classes that are listed."""


class TrainedRun(NamedTuple):
    """The contents of a run's folder."""

    arch: Path
    """Its arch.yaml."""
    recipe: Recipe | None
    """None only of a network that was exported without one."""
    classes: tuple[str, ...]


def read_run(folder: Path) -> TrainedRun:
    """Read a run's folder, or one that was exported. Raises SpecError for others, and for one without weights."""
    stored = is_regular(folder / WEIGHTS_FILE)
    needed = ("run.json",) if stored else ("recipe.yaml", "run.json")
    missing = [name for name in needed if not is_regular(folder / name)]
    if missing:
        want = "a folder that archdsl train or archdsl export wrote"
        raise SpecError(f"{folder} is not a run's folder", got=f"no {', no '.join(missing)}", want=want)
    if not is_regular(folder / ARCH_FILE):
        raise SpecError(
            f"{folder} has no arch.yaml",
            got="an arch with blocks of its own in Python",
            want="the Python file of the arch",
            fix=f"give the file's path in place of {folder}, with --weights {folder} --recipe {folder}/recipe.yaml",
        )
    if not stored and not checkpoints_in(folder):
        raise SpecError(
            f"{folder} has no checkpoint", want="a run with a checkpoint", fix="archdsl train ... resumes it"
        )
    found = folder / "recipe.yaml"
    return TrainedRun(folder / ARCH_FILE, recipe(found) if is_regular(found) else None, run_classes(folder))


def describe_run(folder: Path) -> dict[str, str]:
    """What weights a run's folder has, by a word each. Raises SpecError for other folders, and for damaged ones."""
    found, checkpoint = read_run(folder), checkpoints_in(folder)[-1]
    network = [name for name in tensor_specs(checkpoint) if name.startswith("network.")]
    classes = f"{len(found.classes)}: {', '.join(found.classes[:SHOWN_CLASSES])}"
    origin = read_facts(checkpoint).weights
    return {
        "run": f"{folder}: {len(network)} tensors of {load(found.arch).name}",
        "weights": describe_checkpoint(checkpoint),
        "classes": classes + (", ..." if len(found.classes) > SHOWN_CLASSES else ""),
        "data": data_of_weights(folder) or "of Python",
        **({"begun": f"from {origin.path}"} if origin else {}),
        "use": f"archdsl evaluate {folder}, archdsl export {folder} -o net.onnx, archdsl train ... --weights {folder}",
    }


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
    """The classes of the run that weights belong to (its folder, or what is in it); None for other weights."""
    folder = run_of_weights(weights)
    return run_classes(folder) if folder else None


def data_of_weights(weights: Path) -> str | None:
    """The training data of the run that weights belong to; None for other weights, or where it is not recorded."""
    folder = run_of_weights(weights)
    return read_record(RunInfo, folder / "run.json").data if folder else None


def run_of_weights(weights: Path) -> Path | None:
    """The folder of the run that a checkpoint is of, or of an exported file; None for other weights."""
    folders = (
        (weights, weights.parent.parent) if weights.is_dir() else (weights.parent,) * (weights.name == WEIGHTS_FILE)
    )
    return next((folder for folder in folders if folder and (folder / "run.json").exists()), None)
