"""Predictions for video files: the top classes of the whole video and of every time window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor, nn

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.batches import view_batches
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.reader.decoder import VideoFile
from archdsl.training.data.reader.frame_index import FrameIndex
from archdsl.training.data.reader.watchdog import run_watched
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES
from archdsl.training.data.sources.pictures import pictures_in, read_pictures
from archdsl.training.data.sources.videos import Action, Files, VideoEntry, summarize_names
from archdsl.training.distributed import process_group
from archdsl.training.evaluation.evaluate import resolve_network
from archdsl.training.evaluation.scores import top_scores
from archdsl.training.evaluation.views import VIEWS_PER_BATCH, average_heads, check_finite, evaluation_mode, view_scores
from archdsl.training.precision import autocast_of, emulation_warning
from archdsl.training.progress import print_warning
from archdsl.training.state.initial_weights import network_with_weights
from archdsl.training.state.run_reader import run_classes
from archdsl.training.state.skipped_videos import SkippedVideos

ClassScores = list[tuple[str, float]]


class TimeWindow(NamedTuple):
    """A time window of a video, in seconds, and its top classes."""

    start: float
    end: float
    best: ClassScores


class Prediction(NamedTuple):
    """The prediction for one video; empty where it could not be read."""

    path: Path
    best: ClassScores
    windows: tuple[TimeWindow, ...]
    unreadable: str | None = None
    """Why it could not be read."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        if self.unreadable is not None:
            return {"path": str(self.path), "unreadable": self.unreadable}
        windows = [{"start": w.start, "end": w.end, "best": class_records(w.best)} for w in self.windows]
        return {"path": str(self.path), "best": class_records(self.best), "windows": windows}


def class_records(best: ClassScores) -> list[dict[str, Any]]:
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
) -> Iterator[Prediction]:
    """Top classes of video files, of the videos in folders, or of folders of pictures, one after the other.

    `arch` is a run's folder, or an arch with recipe and weights. Windows of the clip's length cover the
    video; the video's scores are joined from theirs as the recipe's views say. Raises SpecError where these do not fit.
    """
    known = None if isinstance(arch, Arch) or not Path(arch).is_dir() else run_classes(Path(arch))
    plan, recipe, weights = resolve_network(arch, recipe, weights)
    check_modalities(plan.arch.clips)
    names = class_names(plan, classes or known)
    found, left_out = videos_in(paths)
    console = Console(stderr=True, highlight=False)
    if left_out:
        console.print(f"left out, not a video file: {summarize_names(left_out)}", markup=False, soft_wrap=True)
    with process_group(device) as world:
        if slow := emulation_warning(recipe, world.device):
            print_warning(console, *slow)
        network = network_with_weights(plan.of_frames_read, weights).to(world.device)
        for path in found:
            yield predict_video(network, plan, recipe, path, names, top, workers, world.device)


def class_names(plan: Plan, names: Sequence[str] | None) -> tuple[str, ...]:
    """A name for every score, or numbers where no names are known. Raises SpecError where the counts differ."""
    shapes = set(plan.outputs.values())
    shape = next(iter(shapes))
    if len(shapes) > 1 or len(shape) != 1:
        shapes_text = ", ".join(f"{name} {shape}" for name, shape in plan.outputs.items())
        raise SpecError(f"{plan.name} does not output class scores", at="head", got=shapes_text, want="(classes,)")
    if names is not None and len(names) != shape[0]:
        got = f"{len(names)} names, {shape[0]} scores"
        raise SpecError(
            "as many class names as scores are needed", got=got, want="one name for each score, in the order of labels"
        )
    return tuple(names) if names is not None else tuple(f"class {i}" for i in range(shape[0]))


def videos_in(paths: Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """(video files and folders of pictures, other files in folders). Folders are searched at any depth.

    Raises SpecError for a folder without videos and pictures.
    """
    if not all(str(path) for path in paths):
        raise SpecError("an empty path", got=repr(""), want="a video, or a folder of videos")
    videos: list[Path] = []
    left_out: list[str] = []
    for path in map(Path, paths):
        if not path.is_dir() or pictures_in(path):
            videos.append(path)
            continue
        files = sorted(file for file in path.rglob("*") if file.is_file())
        found = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        if not found:
            raise SpecError(f"no videos in {path}", want=f"files ending in {', '.join(VIDEO_SUFFIXES)}, or pictures")
        videos += found
        left_out += [str(file) for file in files if file not in found and not file.name.startswith(".")]
    return videos, left_out


def predict_video(
    network: nn.Module,
    plan: Plan,
    recipe: Recipe,
    path: Path,
    names: tuple[str, ...],
    top: int,
    workers: int,
    device: torch.device,
) -> Prediction:
    """The prediction for one video."""
    try:
        index = run_watched(lambda: read_index(path))
    except (Unreadable, TimeoutError) as missing:
        return Prediction(path, [], (), missing.reason if isinstance(missing, Unreadable) else str(missing))
    clips, skips = plan.arch.clips, SkippedVideos()
    recipe = recipe.but(views=recipe.views.but(clips=count_windows(index, plan, recipe)))
    entry = VideoEntry(path, str(path), (Action(0),), index=index)
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
    feed = view_batches(
        files,
        recipe,
        clips,
        device=device,
        workers=workers,
        skips=skips,
        batch=VIEWS_PER_BATCH,
        frames_read=plan.frames_read,
    )
    with evaluation_mode(network):
        for batch in feed:
            with autocast_of(recipe, device):
                scores = average_heads(network(batch.clips)).float()
            rows.extend(view_scores(scores, recipe.views).cpu())
            times.extend(zip(batch.starts, batch.ends))
    if not rows:
        return Prediction(path, [], (), next(iter(skips.names.values())))
    scores = torch.stack(rows)
    check_finite({str(path): scores})
    return make_prediction(path, times, scores, recipe, names, top)


def read_index(path: Path) -> FrameIndex:
    """Where the frames of a video are. Raises Unreadable."""
    if path.is_dir():
        return read_pictures(path, str(path), lambda index: [0])[1]
    with VideoFile(path, str(path)) as video:
        return video.index()


def count_windows(index: FrameIndex, plan: Plan, recipe: Recipe) -> int:
    """Number of clips that cover the video; with segments, which cover it at once, that of the recipe's views."""
    sampling = recipe.sampling
    if sampling.kind == "segments":
        return recipe.views.clips
    step = sampling.every * (index.fps / sampling.fps if sampling.fps else 1.0)
    reach = max(clip.frames for clip in plan.arch.clips.values()) * step
    return max(1, ceil(len(index.times) / reach - 1e-6))


def make_prediction(
    path: Path, times: list[tuple[float, float]], scores: Tensor, recipe: Recipe, names: tuple[str, ...], top: int
) -> Prediction:
    """Top classes of each window (its crops joined) and of the video."""
    crops = recipe.views.crops

    def joined(rows: Tensor) -> ClassScores:
        row = rows.amax(0) if recipe.views.join == "max" else rows.mean(0)
        return top_scores(row, names, top)

    windows = [TimeWindow(*times[i], joined(scores[i : i + crops])) for i in range(0, len(scores), crops)]
    return Prediction(path, joined(scores), tuple(windows))
