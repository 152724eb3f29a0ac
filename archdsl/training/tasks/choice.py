"""The tasks there are, and which of them a network is trained for."""

from __future__ import annotations

from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_named
from archdsl.spec.base import read_model
from archdsl.training.data.sources.built_in import is_built_in
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.boxes.action_detection import ActionDetection
from archdsl.training.tasks.boxes.detection import Detection
from archdsl.training.tasks.boxes.shape_detection import ShapeDetection
from archdsl.training.tasks.captions import Captioning
from archdsl.training.tasks.classification import Classification
from archdsl.training.tasks.features import FeaturesTask
from archdsl.training.tasks.flow import Flow
from archdsl.training.tasks.key_points import KeyPointsTask
from archdsl.training.tasks.localisation.task import Localisation
from archdsl.training.tasks.masked_features import MaskedFeaturesTask
from archdsl.training.tasks.masked_pixels import MaskedPixelsTask
from archdsl.training.tasks.own_labels import OwnLabels
from archdsl.training.tasks.segmentation import Segmentation
from archdsl.training.tasks.similarity import SimilarityTask

TASKS: tuple[type[Task], ...] = (
    Classification,
    OwnLabels,
    Segmentation,
    Flow,
    ActionDetection,
    Detection,
    ShapeDetection,
    Localisation,
    Captioning,
    MaskedPixelsTask,
    MaskedFeaturesTask,
    SimilarityTask,
    FeaturesTask,
    KeyPointsTask,
)
"""Every task: a file of this folder each."""


def task_for(plan: Plan, recipe: Recipe) -> Task:
    """The recipe's task, or by default that of the network's head. Raises SpecError where it does not exist."""
    name, options = recipe.task_and_options(plan.arch.head.task)
    kind = kind_named(name, None if recipe.task is None else recipe, plan.arch).fitting(plan)
    try:
        return kind(plan, recipe, read_model(kind.options_kind, options))
    except SpecError as error:
        raise error.under(f"recipe.task.{name}") from None


def default_recipe(arch: Arch, data: str) -> Recipe:
    """The recipe to train an arch by when none is named. Raises SpecError where its task does not exist."""
    kind = kind_named(arch.head.task, None, arch)
    return recipe_named(kind.default_recipe(arch, built_in=is_built_in(data)))


def kind_named(name: str, recipe: Recipe | None, arch: Arch) -> type[Task]:
    """The task that a recipe names, or an arch's head. Raises SpecError where it does not exist."""
    known = {kind.name: kind for kind in TASKS}
    if name in known:
        return known[name]
    raise SpecError(
        f"no task {name!r}",
        at="recipe.task" if recipe else "head",
        written=recipe.written if recipe else arch.head.written,
        got=name,
        want=", ".join(known),
        fix=did_you_mean(name, known) if recipe else None,
    )
