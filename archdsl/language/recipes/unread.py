"""Settings of a recipe that were written and that nothing reads, because of another setting or of the task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.language.recipes.clips import Corners, Jitter
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.base import Written
from archdsl.spec.fixes import flow_yaml

OF_CLASS_SCORES = ("loss", "smoothing", "augment.mixup", "augment.cutmix", "views.scores", "views.join")
"""What only tasks read that learn and judge scores of classes of a whole clip."""


def unread_settings(recipe: Recipe, of_scores: Sequence[str] = OF_CLASS_SCORES) -> list[str]:
    """Each setting that is written, asks for something and is not read, with the reason.

    `of_scores` are those of OF_CLASS_SCORES that the task reads.
    """
    rows = [*idle_settings(recipe)]
    rows += [(path, "its task") for path in OF_CLASS_SCORES if path not in of_scores]
    return [f"{path}: {flow_yaml(value)} ({why})" for path, why in rows if (value := asked_value(recipe, path))]


def idle_settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Settings that another one leaves without a reader, written or not: path, and the other one."""
    optimizer, schedule, norms, augment = recipe.optimizer, recipe.schedule, recipe.norms, recipe.augment
    if not schedule.warmup:
        yield "schedule.start", "schedule.warmup: 0"
    if not optimizer.momentum:
        yield "optimizer.nesterov", "optimizer.momentum: 0"
    if not optimizer.weight_decay:
        yield "optimizer.decay_norms", "optimizer.weight_decay: 0"
    for i, group in enumerate(optimizer.groups):
        if not group.rate:
            yield f"optimizer.groups.{i}.weight_decay", f"optimizer.groups.{i}.rate: 0"
    if norms.freeze == "all":
        yield from ((f"norms.{name}", "norms.freeze: all") for name in ("sync", "split", "precise", "momentum"))
    if not augment.rand_augment:
        yield "augment.magnitude", "augment.rand_augment: 0"
    if isinstance(augment.crop, Corners) and len(set(augment.crop.scales)) == 1:
        yield "augment.crop.apart", "one of augment.crop.scales"
    if isinstance(augment.crop, Jitter) and augment.crop.short_side and len(set(augment.crop.short_side)) == 1:
        yield "augment.crop.inverse", "one length in augment.crop.short_side"
    if recipe.views.clips * recipe.views.crops == 1:
        yield "views.join", "one view"
    if recipe.evaluate_every is None or recipe.evaluate_every >= (recipe.epochs or recipe.steps or 0):
        yield "patience", "one evaluation, at the end"


def asked_value(recipe: Recipe, path: str) -> object:
    """The value at a path, where it is written and asks for something; else None."""
    found: object = recipe
    for name in path.split("."):
        if isinstance(found, Written) and name not in found.model_fields_set:
            return None
        found = found[int(name)] if isinstance(found, tuple) else getattr(found, name)
    return found or None
