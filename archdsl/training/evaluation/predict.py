"""Predictions for video files, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from archdsl.backend.devices import device_of
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.batches import view_batches
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES
from archdsl.training.data.sources.pictures import pictures_in
from archdsl.training.data.sources.videos import summarize_names
from archdsl.training.device_memory import ViewsMemory
from archdsl.training.evaluation.evaluate import resolve_network
from archdsl.training.evaluation.prediction import NoPrediction, Prediction, ViewOutput, view_outputs
from archdsl.training.evaluation.views import VIEWS_PER_BATCH, evaluation_mode
from archdsl.training.log.progress import print_warning
from archdsl.training.passes import inference_passes, inference_text, prepared_for_inference
from archdsl.training.precision import autocast_of, emulation_warning, recipe_on
from archdsl.training.processes import process_group
from archdsl.training.state.initial_weights import network_with_weights
from archdsl.training.state.run_reader import run_classes
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.choice import task_for


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
    """Predictions for video files, for the videos in folders, or for folders of pictures, one after the other.

    `arch` is a run's folder, or an arch with recipe and weights. Windows of the clip's length cover the video; of
    classification the `top` classes of each and of the video. Raises SpecError where these do not fit.
    """
    known = None if isinstance(arch, Arch) or not Path(arch).is_dir() else run_classes(Path(arch))
    plan, recipe, weights = resolve_network(arch, recipe, weights)
    task = task_for(plan, recipe_on(recipe, device_of(device)))
    recipe = task.recipe
    task.check_inputs()
    names = task.class_names(classes or known)
    found, left_out = videos_in(paths, task.suffixes)
    console = Console(stderr=True, highlight=False)
    if left_out:
        console.print(f"left out, not a video file: {summarize_names(left_out)}", markup=False, soft_wrap=True)
    with process_group(device) as world:
        if slow := emulation_warning(recipe, world.device):
            print_warning(console, *slow)
        console.print(inference_text(plan, recipe, world.device), markup=False, soft_wrap=True)
        network = network_with_weights(plan.of_frames_read, weights, inference_passes(recipe, world.device))
        task.attach(lambda: dict(network_with_weights(plan, weights).to(world.device).named_parameters()))
        network = prepared_for_inference(network, recipe, world.device)
        for path in found:
            yield predict_video(network, task, path, names, top, workers, world.device)


def videos_in(paths: Sequence[str | Path], suffixes: tuple[str, ...] = VIDEO_SUFFIXES) -> tuple[list[Path], list[str]]:
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
        found = [file for file in files if file.suffix.lower() in suffixes]
        if not found:
            raise SpecError(f"no videos in {path}", want=f"files ending in {', '.join(suffixes)}, or pictures")
        videos += found
        left_out += [str(file) for file in files if file not in found and not file.name.startswith(".")]
    return videos, left_out


def predict_video(
    network: nn.Module,
    task: Task,
    path: Path,
    names: tuple[str, ...],
    top: int,
    workers: int,
    device: torch.device,
) -> Prediction:
    """The prediction for one video."""
    try:
        recipe, videos = task.alone(path)
    except Unreadable as missing:
        return NoPrediction(path, missing.reason)
    skips, clips, found = SkippedVideos(), task.plan.arch.clips, list[ViewOutput]()
    feed = view_batches(
        videos,
        recipe,
        clips,
        task=None,
        device=device,
        workers=workers,
        skips=skips,
        batch=ViewsMemory(task.plan).views(device, VIEWS_PER_BATCH),
        frames_read=task.plan.frames_read,
    )
    with evaluation_mode(network):
        for batch in feed:
            with autocast_of(recipe, device):
                outputs = task.outputs(network, batch.clips)
            found += view_outputs(batch, task.said_of(outputs, batch))
    return task.prediction(path, found, names, top) if found else NoPrediction(path, next(iter(skips.names.values())))
