"""What a network sees in video files: the likeliest classes of the whole and of every stretch of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.batches import view_feed
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.reader.decoder import Index, Video, decoder_named
from archdsl.training.data.reader.watchdog import watched
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.lines import SUFFIXES
from archdsl.training.data.sources.pictures import pictures_in, pictures_of
from archdsl.training.data.sources.videos import Action, Entry, Files
from archdsl.training.distributed import world_of
from archdsl.training.evaluation.evaluate import ready
from archdsl.training.evaluation.scores import best_of
from archdsl.training.evaluation.views import BATCH, check_finite, joined_heads, quiet, view_scores
from archdsl.training.precision import in_precision
from archdsl.training.state.initial_weights import with_weights
from archdsl.training.state.run_reader import classes_in
from archdsl.training.state.skipped_videos import Skips

Best = list[tuple[str, float]]


class Window(NamedTuple):
    """A stretch of a video, in seconds, and its likeliest classes."""

    start: float
    end: float
    best: Best


class Seen(NamedTuple):
    """What is seen in one video; nothing where it could not be read."""

    path: Path
    best: Best
    windows: tuple[Window, ...]
    unreadable: str | None = None
    """Why it could not be read."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        if self.unreadable is not None:
            return {"path": str(self.path), "unreadable": self.unreadable}
        windows = [{"start": w.start, "end": w.end, "best": records(w.best)} for w in self.windows]
        return {"path": str(self.path), "best": records(self.best), "windows": windows}


def records(best: Best) -> list[dict[str, Any]]:
    """Classes and scores as plain data."""
    return [{"class": name, "score": score} for name, score in best]


def predict(
    arch: Arch | str | Path,
    paths: Sequence[str | Path],
    *,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    classes: Sequence[str] | None = None,
    top: int = 5,
    device: str | None = None,
    workers: int = 0,
) -> Iterator[Seen]:
    """The classes of video files, of the videos in folders, or of folders of pictures, one after the other.

    `arch` is a run's folder, or an arch with recipe and weights. Windows of the clip's length follow each other along a
    video; its own scores are joined from theirs as the recipe's views say. Raises SpecError where nothing fits.
    """
    known = None if isinstance(arch, Arch) or not Path(arch).is_dir() else classes_in(Path(arch))
    plan, recipe, weights = ready(arch, recipe, weights)
    check_modalities(plan.arch.clips)
    names = class_names(plan, classes or known)
    found = list(videos_in(paths))
    with world_of(device) as world:
        network = with_weights(plan, weights).to(world.device)
        for path in found:
            yield seen(network, plan, recipe, path, names, top, workers, world.device)


def class_names(plan: Plan, names: Sequence[str] | None) -> tuple[str, ...]:
    """A name for every score, or numbers where none are known. Raises SpecError where there are others than scores."""
    shapes = set(plan.outputs.values())
    shape = next(iter(shapes))
    if len(shapes) > 1 or len(shape) != 1:
        told = ", ".join(f"{name} {shape}" for name, shape in plan.outputs.items())
        raise SpecError(f"{plan.name} gives no scores of classes", at="head", got=told, want="(classes,)")
    if names is not None and len(names) != shape[0]:
        got = f"{len(names)} names, {shape[0]} scores"
        raise SpecError("other classes than scores", got=got, want="a name for every score, in the order of labels")
    return tuple(names) if names is not None else tuple(f"class {i}" for i in range(shape[0]))


def videos_in(paths: Sequence[str | Path]) -> Iterator[Path]:
    """The files named, the videos in folders at any depth, folders of pictures as they are. Raises SpecError."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        if pictures_in(path):
            yield path
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise SpecError(f"no videos in {path}", want=f"files ending in {', '.join(SUFFIXES)}, or pictures")
        yield from found


def seen(
    network: nn.Module,
    plan: Plan,
    recipe: Recipe,
    path: Path,
    names: tuple[str, ...],
    top: int,
    workers: int,
    device: torch.device,
) -> Seen:
    """What is seen in one video."""
    try:
        index = watched(lambda: index_of(path))
    except (Unreadable, TimeoutError) as missing:
        return Seen(path, [], (), missing.reason if isinstance(missing, Unreadable) else str(missing))
    clips, skips = plan.arch.clips, Skips()
    recipe = recipe.but(views=recipe.views.but(clips=windows_of(index, plan, recipe)))
    entry = Entry(path, str(path), (Action(0),), index=index)
    files = Files(
        (entry,),
        names,
        clips,
        recipe.sampling,
        decoder=decoder_named(None),
        snippets=snippets_of(plan.arch, recipe.sampling),
    )
    times: list[tuple[float, float]] = []
    rows: list[Tensor] = []
    feed = view_feed(files, recipe, clips, device=device, workers=workers, skips=skips, batch=BATCH)
    with quiet(network):
        for batch in feed:
            with in_precision(recipe, device):
                scores = joined_heads(network(batch.clips)).float()
            rows.extend(view_scores(scores, recipe.views).cpu())
            times.extend(zip(batch.starts, batch.ends))
    if not rows:
        return Seen(path, [], (), next(iter(skips.names.values())))
    scores = torch.stack(rows)
    check_finite({str(path): scores})
    return told(path, times, scores, recipe, names, top)


def index_of(path: Path) -> Index:
    """Where the frames of a video are. Raises Unreadable."""
    if path.is_dir():
        return pictures_of(path, str(path), lambda index: [0])[1]
    with Video(path, str(path)) as video:
        return video.index()


def windows_of(index: Index, plan: Plan, recipe: Recipe) -> int:
    """How many clips it takes to see a whole video. Segments see it all at once: as many as the recipe's views."""
    sampling = recipe.sampling
    if sampling.kind == "segments":
        return recipe.views.clips
    step = sampling.every * (index.fps / sampling.fps if sampling.fps else 1.0)
    reach = max(clip.frames for clip in plan.arch.clips.values()) * step
    return max(1, ceil(len(index.times) / reach - 1e-6))


def told(
    path: Path, times: list[tuple[float, float]], scores: Tensor, recipe: Recipe, names: tuple[str, ...], top: int
) -> Seen:
    """The likeliest classes of each window (its crops joined) and of all together."""
    crops = recipe.views.crops

    def joined(rows: Tensor) -> Best:
        row = rows.amax(0) if recipe.views.join == "max" else rows.mean(0)
        return best_of(row, names, top)

    windows = [Window(*times[i], joined(scores[i : i + crops])) for i in range(0, len(scores), crops)]
    return Seen(path, joined(scores), tuple(windows))
