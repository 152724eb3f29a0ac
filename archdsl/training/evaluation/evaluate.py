"""Evaluate a trained network on videos and write the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from archdsl.backend import emit
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch, change_all
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.yaml_writer import recipe_data
from archdsl.recipes import recipe as recipe_of
from archdsl.report.confusion import classes_svg, classes_table, confusion_svg, confusion_table
from archdsl.report.table.formats import records_csv
from archdsl.spec.files import json_text, make_folder, naming_write_errors, write_whole
from archdsl.spec.numbers import views_of
from archdsl.training.data.clips import Videos
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.distributed import World, fail_together, gather_objects, process_group
from archdsl.training.evaluation.metrics import confusion
from archdsl.training.evaluation.scores import Scores
from archdsl.training.evaluation.views import score_videos
from archdsl.training.precision import emulation_warning
from archdsl.training.progress import print_warning
from archdsl.training.state.compatibility import check_processes_agree, summarize_videos
from archdsl.training.state.initial_weights import locked_weights, network_of_stored, open_weights
from archdsl.training.state.run_reader import (
    class_columns,
    classes_of_weights,
    data_of_weights,
    describe_checkpoint,
    read_run,
)
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.state.snapshot import fingerprint


def evaluate(
    arch: Arch | str | Path,
    data: str | Path | Videos | None = None,
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
    """Scores of a trained network on videos; with `out`, metrics, tables and plots are written to that folder.

    `arch` is a run's folder, which has recipe and weights, or an arch with both. `views`, such as `10x3`, overrides the
    recipe's. Without `data` a run is tested on its own data, any other network on `motion`. Under torchrun every
    process calls this and tests its share.

    Raises SpecError where arch, weights, recipe and videos do not fit each other.
    """
    with process_group(device) as world:
        with fail_together():
            plan, recipe, weights = resolve_network(arch, recipe, weights)
            recipe = recipe if views is None else with_views(recipe, views)
            if out:
                make_folder(Path(out))  # before the videos are tested, which takes long
            data = (data_of_weights(weights) or "motion") if data is None else data
            videos = videos_for(str(data), split, plan.arch, recipe) if isinstance(data, str | Path) else data
        used = load_network(plan, weights, videos, world)
        if world.size > 1:
            check_processes_agree(used.to_compare() | to_compare(plan, recipe, videos))
        skips = SkippedVideos(None, recipe.most_skipped)
        if out:
            skips = SkippedVideos.for_run(Path(out), recipe, world.rank, split)
        scores = score_with_progress(used.network, plan, videos, recipe, world, skips, workers, batch, quiet=quiet)
        place = str(data) if isinstance(data, str | Path) else ""
        scores = replace(scores.in_columns(used.columns), tested=used.tested, data=place)
        with fail_together():
            if out and world.first:
                about = {"weights": str(used.path), "data": place or None, "split": split}
                write_results(Path(out), scores, plan.name, about | evaluation_settings(plan, recipe))
    return scores


def score_with_progress(
    network: nn.Module,
    plan: Plan,
    videos: Videos,
    recipe: Recipe,
    world: World,
    skips: SkippedVideos,
    workers: int,
    batch: int | None,
    *,
    quiet: bool,
) -> Scores:
    """Scores of all views of all videos, under a progress bar."""
    with progress_bar(plan.name, videos, recipe, world, quiet=quiet) as progress:
        return score_videos(
            network.to(world.device),
            videos,
            recipe,
            plan.arch.clips,
            device=world.device,
            workers=workers,
            batch=batch,
            skips=skips,
            progress=progress,
            frames_read=plan.frames_read,
        )


def to_compare(plan: Plan, recipe: Recipe, videos: Videos) -> dict[str, Any]:
    """What must be equal in every process, as plain data."""
    source = sha256(emit(plan).encode()).hexdigest()
    return {
        "name": plan.name,
        "source": source,
        "recipe": recipe_data(recipe),
        "data": summarize_videos(videos).model_dump(),
    }


class LoadedNetwork(NamedTuple):
    """A network with its weights."""

    network: nn.Module
    path: Path
    """The file or checkpoint of its weights."""
    columns: dict[str, int]
    """Class -> column of its score; the videos' classes first."""
    tested: str
    """Which checkpoint of the run this is; empty for other weights."""

    def to_compare(self) -> dict[str, Any]:
        """As plain data, for comparison between processes."""
        return {"weights": fingerprint(self.network), "columns": self.columns}


def load_network(plan: Plan, weights: Path, videos: Videos, world: World) -> LoadedNetwork:
    """The network with its weights. All processes read the checkpoint that the first one found in a run's folder."""
    with ExitStack() as stack:
        with fail_together():
            last = stack.enter_context(locked_weights(weights)).relative_to(weights) if world.first else Path()
        path = weights / gather_objects(last)[0]
        with fail_together(), open_weights(path) as found:
            tested = describe_checkpoint(path) if path != weights else ""
            network = network_of_stored(plan.of_frames_read, found)
            known = classes_of_weights(path)
            check_scores(plan, videos.classes if known is None else known, run=known is not None)
            known = videos.classes if known is None else known
            return LoadedNetwork(network, path, class_columns(known, videos.classes), tested)


def check_scores(plan: Plan, classes: tuple[str, ...], *, run: bool) -> None:
    """Raises SpecError where an output does not have one score per class of its run, or of the videos without a run."""
    wanted = len(classes)
    for name, shape in plan.outputs.items():
        if shape != (wanted,):
            few = not run and len(shape) == 1 and shape[0] > wanted
            raise SpecError(
                f"{plan.name} has another number of classes than {'its run' if run else 'the videos'}",
                at="head",
                written=plan.arch.written,
                got=f"{name} of shape {shape}" + ("" if run else ", and no run that lists its classes"),
                want=f"({wanted},): {', '.join(classes[:4])}{', ...' if wanted > 4 else ''}",
                fix="add an empty folder for each class without videos, or list all names in classes.txt"
                if few
                else None,
            )


def resolve_network(
    arch: Arch | str | Path, recipe: Recipe | str | Path | None, weights: str | Path | None
) -> tuple[Plan, Recipe, Path]:
    """(plan, recipe, path of the weights). Raises SpecError where one is missing."""
    if not isinstance(arch, Arch) and Path(arch).is_dir():
        found = read_run(Path(arch))
        arch, recipe, weights = found.arch, recipe or found.recipe, weights or arch
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
def progress_bar(
    name: str, videos: Videos, recipe: Recipe, world: World, *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by a number of views; the first process shows its own share."""
    console = Console(stderr=True, highlight=False, quiet=quiet or not world.first)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(range(world.rank, len(videos), world.size)) * recipe.views.clips * recipe.views.crops
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        if slow := emulation_warning(recipe, world.device):
            print_warning(console, *slow)
        task = progress.add_task(f"testing {name}", total=total)
        yield lambda views: progress.advance(task, views)


def evaluation_settings(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What the metrics depend on besides weights and videos."""
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
    with naming_write_errors(out):
        write_files(out, scores, name, about)


def write_files(out: Path, scores: Scores, name: str, about: dict[str, Any]) -> None:
    """Write the result files."""
    record = {"name": name, "figures": scores.figures, "videos": len(scores.names), "skipped": len(scores.skipped)}
    write_whole(out / "results.json", json_text(record | about, indent=2) + "\n")
    write_whole(out / "videos.jsonl", "".join(f"{json_text(line)}\n" for line in video_lines(scores)))
    title = f"{name}: " + ", ".join(f"{figure} {value:.1%}" for figure, value in scores.figures.items())
    rows = scores.per_class()
    write_whole(out / "classes.csv", records_csv(classes_table(rows)))
    write_whole(out / "classes.svg", classes_svg(rows, title))
    if not scores.multi_label:
        matrix = confusion(scores.scores, scores.labels).tolist()
        write_whole(out / "confusion.csv", records_csv(confusion_table(scores.classes, matrix)))
        write_whole(out / "confusion.svg", confusion_svg(scores.classes, matrix, title))


def video_lines(scores: Scores) -> Iterator[dict[str, Any]]:
    """For every video its true classes and its top 5."""
    for row, name in enumerate(scores.names):
        label = scores.labels[row]
        true = label.nonzero().flatten().tolist() if scores.multi_label else [int(label)]
        best = [{"class": found, "score": score} for found, score in scores.best(row, 5)]
        yield {"name": name, "classes": [scores.classes[i] for i in true], "best": best}
