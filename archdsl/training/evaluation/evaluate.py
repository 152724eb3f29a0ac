"""A trained network tested on videos, and what is written of it."""

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
from archdsl.spec.files import json_text, make_folder, write_whole, writing
from archdsl.spec.numbers import views_of
from archdsl.training.data.clips import Videos
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.distributed import World, as_one, gathered, world_of
from archdsl.training.evaluation.metrics import confusion
from archdsl.training.evaluation.scores import Scores
from archdsl.training.evaluation.views import scored
from archdsl.training.precision import slowness
from archdsl.training.state.compatibility import check_same, listed
from archdsl.training.state.initial_weights import kept, weights_at, with_those
from archdsl.training.state.run_reader import classes_of, columns_of, data_of, described, ran
from archdsl.training.state.skipped_videos import Skips
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
    """Scores of a trained network on videos; with `out` a folder of figures, tables and pictures.

    `arch` is a run's folder, which brings recipe and weights, or an arch with both. `views`, such as `10x3`, takes the
    place of the recipe's. Without `data` a run is tested on its own, any other network on `motion`. Under torchrun
    every process calls this, and each tests its share.

    Raises SpecError where arch, weights, recipe and videos do not fit each other.
    """
    with world_of(device) as world:
        with as_one():
            plan, recipe, weights = ready(arch, recipe, weights)
            recipe = with_views(recipe, views) if views else recipe
            if out:
                make_folder(Path(out))  # before videos have taken their time
            data = (data_of(weights) or "motion") if data is None else data
            videos = videos_for(str(data), split, plan.arch, recipe) if isinstance(data, str | Path) else data
        used = loaded(plan, weights, videos, world)
        if world.size > 1:
            check_same(used.shared() | shared(plan, recipe, videos))
        skips = Skips.of(Path(out), recipe, world.rank, split) if out else Skips(None, recipe.most_skipped)
        with bar(plan.name, videos, recipe, world, quiet=quiet) as progress:
            scores = scored(
                used.network.to(world.device),
                videos,
                recipe,
                plan.arch.clips,
                device=world.device,
                workers=workers,
                batch=batch,
                skips=skips,
                progress=progress,
            )
        place = str(data) if isinstance(data, str | Path) else ""
        scores = replace(scores.in_columns(used.columns), tested=used.tested, data=place)
        with as_one():
            if out and world.first:
                about = {"weights": str(used.path), "data": place or None, "split": split}
                write_results(Path(out), scores, plan.name, about | settings(plan, recipe))
    return scores


def shared(plan: Plan, recipe: Recipe, videos: Videos) -> dict[str, Any]:
    """What must be the same in every process, as plain data."""
    source = sha256(emit(plan).encode()).hexdigest()
    return {"name": plan.name, "source": source, "recipe": recipe_data(recipe), "data": listed(videos).model_dump()}


class Used(NamedTuple):
    """A network with its weights."""

    network: nn.Module
    path: Path
    """The file or the checkpoint that its weights are of."""
    columns: dict[str, int]
    """Class -> its score; those of the videos first."""
    tested: str
    """Of a run's folder, which of its checkpoints that is."""

    def shared(self) -> dict[str, Any]:
        """As plain data."""
        return {"weights": fingerprint(self.network), "columns": self.columns}


def loaded(plan: Plan, weights: Path, videos: Videos, world: World) -> Used:
    """A plan's network with its weights. All processes read what the first one found last in a run's folder."""
    with ExitStack() as stack:
        with as_one():
            last = stack.enter_context(kept(weights)).relative_to(weights) if world.first else Path()
        path = weights / gathered(last)[0]
        with as_one(), weights_at(path) as found:
            tested = described(path) if path != weights else ""
            network = with_those(plan, found)
            known = classes_of(path)
            check_scores(plan, videos.classes if known is None else known, run=known is not None)
            known = videos.classes if known is None else known
            return Used(network, path, columns_of(known, videos.classes), tested)


def check_scores(plan: Plan, classes: tuple[str, ...], *, run: bool) -> None:
    """Raises SpecError where a network does not score the classes of its run, or of the videos where it is no run's."""
    wanted = len(classes)
    for name, shape in plan.outputs.items():
        if shape != (wanted,):
            few = not run and len(shape) == 1 and shape[0] > wanted
            raise SpecError(
                f"{plan.name} does not score the classes of {'its run' if run else 'the videos'}",
                at="head",
                written=plan.arch.written,
                got=f"{name} of shape {shape}" + ("" if run else ", and no run that names its classes"),
                want=f"({wanted},): {', '.join(classes[:4])}{', ...' if wanted > 4 else ''}",
                fix="for each class without videos an empty folder, or its name in classes.txt" if few else None,
            )


def ready(
    arch: Arch | str | Path, recipe: Recipe | str | Path | None, weights: str | Path | None
) -> tuple[Plan, Recipe, Path]:
    """The plan, the recipe and where the weights are. Raises SpecError where one is not said."""
    if not isinstance(arch, Arch) and Path(arch).is_dir():
        found = ran(Path(arch))
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
def bar(name: str, videos: Videos, recipe: Recipe, world: World, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Something to be told the views that are done; the first process shows its own share."""
    console = Console(stderr=True, highlight=False, quiet=quiet or not world.first)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(range(world.rank, len(videos), world.size)) * recipe.views.clips * recipe.views.crops
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        if slow := slowness(recipe, world.device):
            console.print(f"warning: {slow[0]}\n  fix     {slow[1]}", markup=False, soft_wrap=True)
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
    with writing(out):
        write_files(out, scores, name, about)


def write_files(out: Path, scores: Scores, name: str, about: dict[str, Any]) -> None:
    """The files of such a folder."""
    record = {"name": name, "figures": scores.figures, "videos": len(scores.names), "skipped": len(scores.skipped)}
    write_whole(out / "results.json", json_text(record | about, indent=2) + "\n")
    write_whole(out / "videos.jsonl", "".join(f"{json_text(line)}\n" for line in video_lines(scores)))
    title = f"{name}: " + ", ".join(f"{figure} {value:.1%}" for figure, value in scores.figures.items())
    rows = scores.per_class()
    write_whole(out / "classes.csv", records_csv(classes_table(rows)))
    write_whole(out / "classes.svg", classes_svg(rows, title))
    if not scores.several:
        matrix = confusion(scores.scores, scores.labels).tolist()
        write_whole(out / "confusion.csv", records_csv(confusion_table(scores.classes, matrix)))
        write_whole(out / "confusion.svg", confusion_svg(scores.classes, matrix, title))


def video_lines(scores: Scores) -> Iterator[dict[str, Any]]:
    """Every video: its classes, and the five likeliest."""
    for row, name in enumerate(scores.names):
        label = scores.labels[row]
        true = label.nonzero().flatten().tolist() if scores.several else [int(label)]
        best = [{"class": found, "score": score} for found, score in scores.best(row, 5)]
        yield {"name": name, "classes": [scores.classes[i] for i in true], "best": best}
