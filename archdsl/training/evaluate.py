"""A trained network tested on videos, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.files import json_text, make_folder, write_whole
from archdsl.language import Arch, change_all
from archdsl.language.recipe import Recipe
from archdsl.numbers import views_of
from archdsl.recipes import recipe as recipe_of
from archdsl.report.confusion import classes_svg, classes_table, confusion_svg, confusion_table
from archdsl.report.formats import to_csv
from archdsl.training.data.clips import Videos
from archdsl.training.data.finding import videos_for
from archdsl.training.metrics import confusion
from archdsl.training.ran import classes_of, columns_of, ran
from archdsl.training.scores import Scores
from archdsl.training.scoring import scored
from archdsl.training.skips import Skips
from archdsl.training.taking import with_weights
from archdsl.training.training import check_classes
from archdsl.training.world import World, world_of


def evaluate(
    arch: Arch | str | Path,
    data: str | Path | Videos = "motion",
    *,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    views: str | None = None,
    split: str = "val",
    out: str | Path | None = None,
    device: str | None = None,
    workers: int = 0,
    batch: int | None = None,
    quiet: bool = False,
) -> Scores:
    """Scores of a trained network on videos; with `out` a folder of figures, tables and pictures.

    `arch` is a run's folder, which brings recipe and weights, or an arch with both. `views`, such as `10x3`, takes the
    place of the recipe's. Under torchrun every process calls this, and each tests its share.

    Raises SpecError where arch, weights, recipe and videos do not fit each other.
    """
    plan, recipe, weights = ready(arch, recipe, weights)
    recipe = with_views(recipe, views) if views else recipe
    if out:
        make_folder(Path(out))  # before videos have taken their time
    with world_of(device) as world:
        videos = videos_for(str(data), split, plan.arch, recipe) if isinstance(data, str | Path) else data
        check_classes(plan, videos)
        known = classes_of(weights)
        columns = columns_of(known, videos.classes) if known else None
        network = with_weights(plan, weights).to(world.device)
        skips = Skips.of(Path(out), recipe, world.rank) if out else Skips(None, recipe.most_skipped)
        with bar(plan.name, videos, recipe, world, quiet=quiet) as progress:
            scores = scored(
                network,
                videos,
                recipe,
                plan.arch.clips,
                device=world.device,
                workers=workers,
                batch=batch,
                skips=skips,
                progress=progress,
            )
        if columns:
            scores = replace(scores, scores=scores.scores[:, columns])
        if out and world.first:
            about = {
                "weights": str(weights),
                "data": str(data) if isinstance(data, str | Path) else None,
                "split": split,
            }
            write_results(Path(out), scores, plan.name, about | settings(plan, recipe))
    return scores


def ready(
    arch: Arch | str | Path, recipe: Recipe | str | Path | None, weights: str | Path | None
) -> tuple[Plan, Recipe, Path]:
    """The plan, the recipe and where the weights are. Raises SpecError where one is not said."""
    if not isinstance(arch, Arch) and Path(arch).is_dir():
        found = ran(Path(arch))
        arch, recipe, weights = found.arch, recipe or found.recipe, weights or found.checkpoint
    missing = [name for name, value in (("recipe", recipe), ("weights", weights)) if value is None]
    if missing or recipe is None or weights is None:
        raise SpecError(
            f"no {' and no '.join(missing)}",
            got=arch.name if isinstance(arch, Arch) else str(arch),
            want="a run's folder, or a network with --recipe and --weights",
        )
    return compile(load(arch)), recipe_of(recipe), Path(weights)


def with_views(recipe: Recipe, text: str) -> Recipe:
    """A recipe tested on other views: `10x3` for ten clips of three crops, or `10`. Raises SpecError."""
    clips, crops = views_of(text)
    try:
        return change_all(recipe, [("views.clips", clips), ("views.crops", crops)])
    except SpecError as error:
        raise error.under("recipe") from None


@contextmanager
def bar(name: str, videos: Videos, recipe: Recipe, world: World, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Something to be told the views that are done; the first process shows its own share."""
    console = Console(stderr=True, highlight=False, quiet=quiet or not world.first)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(range(world.rank, len(videos), world.size)) * recipe.views.clips * recipe.views.crops
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"testing {name}", total=total)
        yield lambda views: progress.advance(task, views)


def settings(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What the figures depend on beside weights and videos."""
    views = recipe.views
    return {
        "input": {name: list(shape) for name, shape in plan.inputs.items()},
        "recipe": recipe.name,
        "views": f"{views.clips}x{views.crops}",
        "short_side": views.short_side,
        "scores": views.scores,
        "join": views.join,
        "sampling": recipe.sampling.model_dump(mode="json"),
    }


def write_results(out: Path, scores: Scores, name: str, about: dict[str, Any]) -> None:
    """results.json, videos.jsonl, and classes.* and confusion.* as picture and table."""
    make_folder(out)
    record = {"name": name, "figures": scores.figures, "videos": len(scores.names), "skipped": len(scores.skipped)}
    write_whole(out / "results.json", json_text(record | about, indent=2) + "\n")
    write_whole(out / "videos.jsonl", "".join(f"{json_text(line)}\n" for line in video_lines(scores)))
    title = f"{name}: " + ", ".join(f"{figure} {value:.1%}" for figure, value in scores.figures.items())
    rows = scores.per_class()
    write_whole(out / "classes.csv", to_csv(classes_table(rows)))
    write_whole(out / "classes.svg", classes_svg(rows, title))
    if not scores.several:
        matrix = confusion(scores.scores, scores.labels).tolist()
        write_whole(out / "confusion.csv", to_csv(confusion_table(scores.classes, matrix)))
        write_whole(out / "confusion.svg", confusion_svg(scores.classes, matrix, title))


def video_lines(scores: Scores) -> Iterator[dict[str, Any]]:
    """Every video: its classes, and the five likeliest."""
    for row, name in enumerate(scores.names):
        label = scores.labels[row]
        true = label.nonzero().flatten().tolist() if scores.several else [int(label)]
        best = [{"class": found, "score": score} for found, score in scores.best(row, 5)]
        yield {"name": name, "classes": [scores.classes[i] for i in true], "best": best}
