"""What a run's folder holds for those who use its network: arch, recipe, classes, its last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.spec.files import is_regular
from archdsl.training.state.checkpoints import checkpoints_in, read_facts, step_of
from archdsl.training.state.records import About, read_record


class Ran(NamedTuple):
    """A run that was trained."""

    arch: Path
    """Its arch.yaml."""
    recipe: Recipe
    classes: tuple[str, ...]


def ran(folder: Path) -> Ran:
    """What is in a run's folder. Raises SpecError for a folder that is none, or has no checkpoint yet."""
    missing = [name for name in ("recipe.yaml", "run.json") if not is_regular(folder / name)]
    if missing:
        want = "a folder that archdsl train wrote"
        raise SpecError(f"{folder} is no run's folder", got=f"no {', no '.join(missing)}", want=want)
    if not is_regular(folder / "arch.yaml"):
        raise SpecError(
            f"{folder} has no arch.yaml",
            got="an arch with blocks of its own in Python",
            want="the Python file it is written in",
            fix=f"the file's path in place of {folder}, --weights {folder} --recipe {folder}/recipe.yaml",
        )
    if not checkpoints_in(folder):
        raise SpecError(f"{folder} has no checkpoint", want="a run that has saved one", fix="archdsl train ... goes on")
    return Ran(folder / "arch.yaml", recipe(folder / "recipe.yaml"), classes_in(folder))


def described(checkpoint: Path) -> str:
    """Of which step a run's last checkpoint is, and where a better one is. Raises SpecError for a damaged one."""
    facts = read_facts(checkpoint)
    best = facts.best
    if best is None or best.step == facts.step:
        return f"step {facts.step}, the run's last" + (" and its best" if best else "")
    name, value = next(iter(best.figures.items()))
    found = checkpoints_in(checkpoint.parent.parent)
    kept = [f": --weights {path}" for path in found if step_of(path) == best.step] or [", which is not kept"]
    return f"step {facts.step}, the run's last; {name} was best at step {best.step}, {value:.1%}{kept[0]}"


def classes_in(folder: Path) -> tuple[str, ...]:
    """The names of a run's classes, in the order of labels. Raises SpecError where they cannot be read."""
    return tuple(read_record(About, folder / "run.json").classes)


def classes_of(weights: Path) -> tuple[str, ...] | None:
    """The classes that weights were learnt for, where they are a run's: its folder, or a checkpoint in it."""
    for folder in (weights, weights.parent.parent) if weights.is_dir() else ():
        if (folder / "run.json").exists():
            return classes_in(folder)
    return None


def data_of(weights: Path) -> str | None:
    """What the run of some weights trained on; None where they are no run's, or it does not say."""
    for folder in (weights, weights.parent.parent) if weights.is_dir() else ():
        if (folder / "run.json").exists():
            return read_record(About, folder / "run.json").data
    return None


def columns_of(known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
    """Name -> where a class stands among those of the run: those of the videos, then the others in alphabetical order.

    Raises SpecError where one of the videos' is not there.
    """
    place = {name: i for i, name in enumerate(known)}
    missing = [name for name in classes if name not in place]
    if missing:
        raise SpecError(
            "videos of other classes than the run's",
            got=", ".join(missing[:3]),
            want=listed(known),
            fix=did_you_mean(missing[0], known),
        )
    return {name: place[name] for name in (*classes, *sorted(place.keys() - set(classes)))}
