"""One door for recipes: a path (.py, .yaml, .json) or a name from specs/recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archdsl.catalog import SHELF, module_of
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import change_all
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.base import read_model
from archdsl.spec.extends import SUFFIXES, base_of, check_beside
from archdsl.spec.files import regular
from archdsl.spec.fixes import short_yaml
from archdsl.spec.lines import Lines, mapping_at

FOLDER = SHELF / "specs" / "recipes"
EXTENDED_KEYS = ("extends", "name", "source", "set")


def recipe(name_or_path: str | Path | Recipe, **changes: Any) -> Recipe:
    """The recipe of that name or in that file, with fields changed: `batch=16`, `seed=1`.

    `steps=100` squeezes the schedule of a recipe of epochs into 100 steps, and the other way round. A Python
    file is executed: load only files you trust. YAML and JSON are data. Raises SpecError with every fault.
    """
    made = name_or_path if isinstance(name_or_path, Recipe) else recipe_of(str(name_or_path))
    for unit in ("steps", "epochs"):
        if unit in changes:
            made = made.lasting(unit, changes.pop(unit))
    return made.but(**changes) if changes else made


def recipe_names() -> list[str]:
    """The names of recipes that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recipe_of(text: str, above: tuple[Path, ...] = ()) -> Recipe:
    """A recipe by name or path."""
    if text.endswith(".py"):
        return recipe_of_python(Path(text))
    if text.endswith(SUFFIXES):
        return recipe_of_data(Path(text), above)
    names = recipe_names()
    if text not in names:
        raise SpecError(
            f"no recipe {text!r}",
            got=text,
            want=f"{', '.join(names)}, or a path ending in .py, .yaml or .json",
            fix=did_you_mean(text, names),
        )
    return recipe_of_data(FOLDER / f"{text}.yaml", above)


def recipe_of_python(path: Path) -> Recipe:
    """The `recipe = Recipe(...)` of a Python file."""
    made = getattr(module_of(regular(path)), "recipe", None)
    if not isinstance(made, Recipe):
        raise SpecError("no recipe in the file", written=path.name, got=repr(made)[:80], want="recipe = Recipe(...)")
    return made


def recipe_of_data(path: Path, above: tuple[Path, ...], data: Lines | None = None) -> Recipe:
    """The recipe in a YAML or JSON file, maybe read before; `extends` is followed."""
    from archdsl.spec.parser import read_data

    data = read_data(path, wants="a mapping: steps or epochs, batch, optimizer") if data is None else data
    if "extends" not in data:
        return read_model(Recipe, data)
    check_beside(data, EXTENDED_KEYS, lambda key: f"set: {{{key}: {short_yaml(data[key])}}}")
    base = base_of(data, path, above, ("optimizer", "extends"), lambda name: recipe_of(name, above), recipe_of_data)
    own = [(key, data[key]) for key in ("name", "source") if key in data]
    changes = mapping_at(data, "set", "set: {path: value}")
    return change_all(base, [*own, *changes.items()], {**data.keys_written, **changes.keys_written})
