"""The tasks there are, and which of them a network is trained for."""

from __future__ import annotations

from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.base import read_model
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.classification import Classification

TASKS: tuple[type[Task], ...] = (Classification,)
"""Every task: a file of this folder each."""


def task_for(plan: Plan, recipe: Recipe) -> Task:
    """The recipe's task, or by default that of the network's head. Raises SpecError where it does not exist."""
    known = {kind.name: kind for kind in TASKS}
    name, options = recipe.task_and_options(plan.arch.head.task)
    if name not in known:
        where = ("head", plan.arch.written) if recipe.task is None else ("recipe.task", recipe.written)
        raise SpecError(
            f"no task {name!r}",
            at=where[0],
            written=where[1],
            got=name,
            want=", ".join(known),
            fix=None if recipe.task is None else did_you_mean(name, known),
        )
    kind = known[name]
    try:
        return kind(plan, recipe, read_model(kind.options_kind, options))
    except SpecError as error:
        raise error.under(f"recipe.task.{name}") from None


def default_recipe(task: str) -> str | None:
    """The recipe to train by for a head's task; None where the task does not exist yet."""
    return next((kind.default_recipe for kind in TASKS if kind.name == task), None)
