"""Evaluate a trained network on videos and write the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from archdsl.backend import emit
from archdsl.backend.weights import local_weights
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch, change_all
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import recipe_data
from archdsl.recipes import recipe as recipe_of
from archdsl.report.figures import metric_text
from archdsl.spec.files import json_text, make_folder, naming_write_errors, write_whole
from archdsl.spec.numbers import views_of
from archdsl.training.data.clips import Videos
from archdsl.training.device_memory import ViewsMemory
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.views import VIEWS_PER_BATCH, judge_videos
from archdsl.training.log.progress import print_warning
from archdsl.training.passes import inference_passes, inference_text, prepared_for_inference
from archdsl.training.precision import emulation_warning, fastest_kernels, recipe_on
from archdsl.training.processes import World, fail_together, gather_objects, process_group
from archdsl.training.state.compatibility import check_processes_agree, summarize_videos
from archdsl.training.state.initial_weights import locked_weights, network_of_stored, open_weights, with_expected_values
from archdsl.training.state.run_reader import (
    classes_of_weights,
    data_of_weights,
    describe_checkpoint,
    read_run,
)
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.state.snapshot import fingerprint
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.choice import task_for


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
) -> Results:
    """Results of a trained network on videos; with `out`, metrics, tables and plots are written to that folder.

    `arch` is a run's folder, which has recipe and weights, or an arch with both. `views`, such as `10x3`, overrides the
    recipe's. Without `data` a run is tested on its own data, any other network on `motion`. Under torchrun every
    process calls this and tests its share.

    Raises SpecError where arch, weights, recipe and videos do not fit each other.
    """
    with process_group(device) as world:
        with fail_together():
            plan, recipe, weights = resolve_network(arch, recipe, weights)
            recipe = recipe_on(recipe if views is None else with_views(recipe, views), world.device)
            if out:
                make_folder(Path(out))  # before the videos are tested, which takes long
            data = (data_of_weights(weights) or "motion") if data is None else data
            task = task_for(plan, recipe)
            videos = task.videos(str(data), split) if isinstance(data, str | Path) else data
        used = load_network(task, weights, videos, world)
        if world.size > 1:
            check_processes_agree(used.to_compare() | to_compare(plan, recipe, videos))
        skips = SkippedVideos(None, recipe.most_skipped)
        if out:
            skips = SkippedVideos.for_run(Path(out), recipe, world.rank, split)
        results = judge_with_progress(used.network, task, videos, world, skips, workers, batch, quiet=quiet)
        place = str(data) if isinstance(data, str | Path) else ""
        results = replace(results.in_columns(used.columns), tested=used.tested, data=place)
        with fail_together():
            if out and world.first:
                about = {"weights": str(used.path), "data": place or None, "split": split}
                write_results(Path(out), results, plan.name, about | evaluation_settings(plan, recipe, world.device))
    return results


def judge_with_progress(
    network: nn.Module,
    task: Task,
    videos: Videos,
    world: World,
    skips: SkippedVideos,
    workers: int,
    batch: int | None,
    *,
    quiet: bool,
) -> Results:
    """Results of all views of all videos, under a progress bar."""
    memory = ViewsMemory(task.plan)
    batch = batch or memory.views(world.device, VIEWS_PER_BATCH)
    bar = progress_bar(task.plan, videos, task.recipe, world, quiet=quiet)
    with bar as progress, memory.reported(world.device, batch), fastest_kernels(world.device):
        return judge_videos(
            prepared_for_inference(network, task.recipe, world.device),
            task,
            videos,
            task.plan.arch.clips,
            device=world.device,
            workers=workers,
            batch=batch,
            skips=skips,
            progress=progress,
            frames_read=task.plan.frames_read,
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


def load_network(task: Task, weights: Path, videos: Videos, world: World) -> LoadedNetwork:
    """The network with its weights. All processes read the checkpoint that the first one found in a run's folder."""
    with ExitStack() as stack:
        with fail_together():
            last = stack.enter_context(locked_weights(weights)).relative_to(weights) if world.first else Path()
        path = weights / gather_objects(last)[0]
        with fail_together(), open_weights(path) as found:
            tested = describe_checkpoint(path) if path != weights and path.is_dir() else ""
            network = network_of_stored(task.plan.of_frames_read, found, inference_passes(task.recipe, world.device))
            task.attach(lambda: dict(network_of_stored(task.plan, found).to(world.device).named_parameters()))
            known = classes_of_weights(path)
            run = known is not None
            task.check_classes(videos.classes if known is None else known, of_run=run, learnt=True)
            known = videos.classes if known is None else known
            return LoadedNetwork(network, path, task.columns(known, videos.classes), tested)


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
    plan = compile(load(arch))
    path = local_weights(weights)
    return plan, with_expected_values(recipe_of(recipe), plan, path), path


def with_views(recipe: Recipe, text: str) -> Recipe:
    """A recipe tested on other views: `10x3` for ten clips of three crops, or `10`. Raises SpecError."""
    clips, crops = views_of(text)
    try:
        return change_all(recipe, [("views.clips", clips), ("views.crops", crops)])
    except SpecError as error:
        raise error.under("recipe") from None


@contextmanager
def progress_bar(
    plan: Plan, videos: Videos, recipe: Recipe, world: World, *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by a number of views; the first process shows its own share."""
    console = Console(stderr=True, highlight=False, quiet=quiet or not world.first)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(range(world.rank, len(videos), world.size)) * recipe.views.clips * recipe.views.crops
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        if slow := emulation_warning(recipe, world.device):
            print_warning(console, *slow)
        console.print(inference_text(plan, recipe, world.device), markup=False, soft_wrap=True)
        task = progress.add_task(f"testing {plan.name}", total=total)
        yield lambda views: progress.advance(task, views)


def evaluation_settings(plan: Plan, recipe: Recipe, device: torch.device) -> dict[str, Any]:
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
        "lowered": inference_text(plan, recipe, device),
    }


def write_results(out: Path, results: Results, name: str, about: dict[str, Any]) -> None:
    """results.json, videos.jsonl, and classes.* and confusion.* as picture and table."""
    make_folder(out)
    with naming_write_errors(out):
        write_files(out, results, name, about)


def write_files(out: Path, results: Results, name: str, about: dict[str, Any]) -> None:
    """Write the result files."""
    record = {"name": name, "figures": results.figures, "videos": len(results.names), "skipped": len(results.skipped)}
    write_whole(out / "results.json", json_text(record | about, indent=2) + "\n")
    write_whole(out / "videos.jsonl", "".join(f"{json_text(line)}\n" for line in results.lines()))
    title = f"{name}: " + ", ".join(f"{one} {metric_text(one, value)}" for one, value in results.figures.items())
    for file, text in results.files(title):
        write_whole(out / file, text)
