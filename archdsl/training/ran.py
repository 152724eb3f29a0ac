"""What a run's folder holds for those who use its network: arch, recipe, classes, its last checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.language.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training.checkpoints import checkpoints_in, read_facts, step_of


class Ran(NamedTuple):
    """A run that was trained."""

    arch: Path
    """Its arch.yaml."""
    recipe: Recipe
    classes: tuple[str, ...]
    checkpoint: Path
    """Its last."""


def ran(folder: Path) -> Ran:
    """What is in a run's folder. Raises SpecError for a folder that is none, or has no checkpoint yet."""
    missing = [name for name in ("recipe.yaml", "run.json") if not (folder / name).is_file()]
    if missing:
        want = "a folder that archdsl train wrote"
        raise SpecError(f"{folder} is no run's folder", got=f"no {', no '.join(missing)}", want=want)
    if not (folder / "arch.yaml").is_file():
        raise SpecError(
            f"{folder} has no arch.yaml",
            got="an arch with blocks of its own in Python",
            want="the Python file it is written in",
            fix=f"the file's path in place of {folder}, --weights {folder} --recipe {folder}/recipe.yaml",
        )
    found = checkpoints_in(folder)
    if not found:
        raise SpecError(f"{folder} has no checkpoint", want="a run that has saved one", fix="archdsl train ... goes on")
    return Ran(folder / "arch.yaml", recipe(folder / "recipe.yaml"), classes_in(folder), found[-1])


def last_of(folder: Path) -> str:
    """Of which step a run's last checkpoint is, and where a better one is. Raises SpecError for a damaged one."""
    found = checkpoints_in(folder)
    facts = read_facts(found[-1])
    best = facts["best"]
    if best is None or best["step"] == facts["step"]:
        return f"step {facts['step']}, the run's last" + (" and its best" if best else "")
    name, value = next(iter(best["figures"].items()))
    kept = [f": --weights {path}" for path in found if step_of(path) == best["step"]] or [", which is not kept"]
    return f"step {facts['step']}, the run's last; {name} was best at step {best['step']}, {value:.1%}{kept[0]}"


def classes_in(folder: Path) -> tuple[str, ...]:
    """The names of a run's classes, in the order of labels. Raises SpecError where they cannot be read."""
    path = folder / "run.json"
    try:
        classes = json.loads(path.read_bytes())["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise SpecError("a run without the names of its classes", written=str(path), want='"classes": a list of names')
    return tuple(classes)


def classes_of(weights: Path) -> tuple[str, ...] | None:
    """The classes that weights were learnt for, where they are a run's: its folder, or a checkpoint in it."""
    for folder in (weights, weights.parent.parent) if weights.is_dir() else ():
        if (folder / "run.json").is_file():
            return classes_in(folder)
    return None


def columns_of(known: tuple[str, ...], classes: tuple[str, ...]) -> list[int]:
    """Where each class of the videos stands among those of the run. Raises SpecError where one is not there."""
    place = {name: i for i, name in enumerate(known)}
    missing = [name for name in classes if name not in place]
    if missing:
        raise SpecError(
            "videos of other classes than the run's",
            got=", ".join(missing[:3]),
            want=listed(known),
            fix=did_you_mean(missing[0], known),
        )
    return [place[name] for name in classes]
