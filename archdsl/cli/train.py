"""train, recipes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import say, say_json, say_table
from archdsl.errors import SpecError, printable
from archdsl.errors.extras import import_with_extras
from archdsl.language import change_all
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_named
from archdsl.recipes import recipe_names
from archdsl.report.figures import metric_text

RECIPE_PREFIX = "recipe."
"""A --set with this prefix changes the recipe, any other the arch."""


def train_command(given: Namespace) -> int:
    """Train, test, print the metrics. A run stopped by a signal exits with 128 + its number."""
    model = catalog.model(given.name)
    arch = g.overridden_arch(model, Namespace(**vars(given) | {"set": settings_of_arch(given)}))
    if not given.recipe:
        given.recipe = import_with_extras("archdsl.training.tasks.choice").default_recipe(arch, given.data)
    recipe = recipe_with_options(given)
    run = import_with_extras("archdsl.training").train(
        arch,
        recipe,
        given.data,
        out=given.out or f"runs/{model.name}",
        device=given.device,
        workers=given.workers,
        shard=given.shard,
        weights=given.weights,
        resume=given.resume,
        quiet=given.quiet,
    )
    if not run.world.first:
        return 0
    if run.stopped:
        say(f"stopped at step {run.step} of {run.steps}; the same command resumes from there: {run.path}")
        return 128 + run.signal
    if run.skipped:
        say(f"{len(run.skipped)} videos could not be read: {run.path}/skipped*.jsonl lists them")
    say("  ".join([*(f"{name} {metric_text(name, value)}" for name, value in run.figures.items()), str(run.path)]))
    return 0


def settings_of_arch(given: Namespace) -> list[str]:
    """Every --set that does not change the recipe."""
    return [text for text in given.set if not text.startswith(RECIPE_PREFIX)]


def recipe_with_options(given: Namespace) -> Recipe:
    """The recipe with the options of the command line."""
    lengths = {unit: n for unit in ("steps", "epochs") if (n := getattr(given, unit, None)) is not None}
    fields = [(name, n) for name in ("batch", "seed") if (n := getattr(given, name, None)) is not None]
    return with_settings(recipe_named(given.recipe, **lengths), given, fields)


def with_settings(recipe: Recipe, given: Namespace, fields: Iterable[tuple[str, Any]] = ()) -> Recipe:
    """The recipe with `fields` and all `--set recipe.PATH=VALUE` applied at once."""
    mine = [g.path_and_value(text.removeprefix(RECIPE_PREFIX)) for text in given.set if text.startswith(RECIPE_PREFIX)]
    try:
        return change_all(recipe, [*fields, *mine])
    except SpecError as error:
        raise error.under("recipe") from None


def recipes_command(given: Namespace) -> int:
    """List the built-in recipes, or print one in full."""
    from archdsl.language.writers.yaml_writer import recipe_data, recipe_yaml  # brings YAML along

    for text in given.set:
        if not given.recipe or not text.startswith(RECIPE_PREFIX):
            want = "--set recipe.PATH=VALUE behind a recipe's name"
            fix = f"--set recipe.{text}" if given.recipe else None
            raise SpecError("not a setting of a recipe", got=text, want=want, fix=fix)
    if given.recipe:
        made = recipe_with_options(given)
        if given.json:
            say_json(recipe_data(made))
            return 0
        say(f"# {printable(made.source or 'no source')}\n{recipe_yaml(made)}")
        return 0
    found = [recipe_named(name) for name in recipe_names()]
    if given.json:
        say_json([recipe_data(made) for made in found])
        return 0
    from archdsl.report.table.sheet import Column, Row, Table  # drawing a table costs an import

    columns = (Column("name"), Column("length"), Column("batch"), Column("hardware"), Column("source"))
    cells = [(made.name, recipe_length(made), str(made.batch), made.hardware, made.source) for made in found]
    rows = tuple(Row(tuple(cell or "" for cell in row)) for row in cells)
    say_table(Table(f"{len(found)} recipes", columns, rows, tuple(map(recipe_data, found))), "text")
    return 0


def recipe_length(made: Recipe) -> str:
    """How long a recipe trains."""
    return f"{made.epochs} epochs" if made.epochs else f"{made.steps} steps"
