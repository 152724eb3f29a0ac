"""Batches in the order of a recipe, augmented on the training device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Batch, ClipRequest, Sample, Unreadable, Videos, requests_at
from archdsl.training.data.reader.workers import VideoRequest, read_clips
from archdsl.training.data.sources.videos import Files
from archdsl.training.data.targets import Targets, targets_of_clips, targets_to, tensors_of
from archdsl.training.data.transforms.augment import augment_batch, check_augment, make_view, view_cut
from archdsl.training.data.transforms.reader_crops import ReaderCrop, first_pictures
from archdsl.training.processes import fail_together
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.base import Task


@dataclass(frozen=True)
class ReadOrder:
    """The clips that one process reads at each step, computed lazily."""

    recipe: Recipe
    count: int
    steps: range
    rank: int
    world: int
    members: list[list[int]] | None = None
    """The videos of each class, where classes are drawn equally often."""

    def __iter__(self) -> Iterator[list[VideoRequest]]:
        share = self.recipe.batch // self.world
        for step in self.steps:
            repeats = self.recipe.augment.repeats
            everyone = requests_at(step, self.recipe.batch, self.count, self.recipe.seed, self.members, repeats)
            yield everyone[self.rank * share : (self.rank + 1) * share]


def train_batches(
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    task: Task,
    start: int,
    steps: int,
    rank: int = 0,
    world: int = 1,
    device: torch.device,
    workers: int = 0,
    skips: SkippedVideos,
    frames_read: Mapping[str, tuple[int, ...]] | None = None,
) -> Iterator[Batch]:
    """Training batches from step `start` on; each of `world` processes gets its share of every batch.

    Clips and their order do not depend on the number of workers and processes. Clips have the frames in `frames_read`
    alone, by default all.
    """
    check_augment(recipe, clips)
    order = ReadOrder(recipe, len(videos), range(start, start + steps), rank, world, task.drawn_evenly(videos))
    videos, crop = reader_of(videos, recipe, clips, frames_read or {})
    reading = read_clips(videos, order, workers, device, skips.given_up, crop)
    for step in order.steps:
        with fail_together():
            batch_requests, found, waited = next(reading)
            present = readable_places(found, skips, len(videos))
        indices = [index for index, _ in batch_requests]
        readable = [isinstance(one, Sample) for one in found]
        samples, requests = with_replacements(found, batch_requests, present)
        if samples:
            made = augment_batch(samples, requests, recipe, clips, device)
            moved = [training_targets(one, task, clips) for one in samples]
        else:
            made = zero_clips(shortened(clips, crop.frames_read), len(batch_requests), device)
            moved = [task.blank(videos)] * len(batch_requests)
        targets = targets_to(task.collated(moved), device)
        made, targets = task.mixed(made, targets, readable, videos, f"{recipe.seed} {step}")
        names = [videos.name(i) for i in indices]
        yield make_batch(made, targets, clip_weights(readable, device), indices, samples, names, waited)


def view_batches(
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    task: Task | None,
    rank: int = 0,
    world: int = 1,
    device: torch.device,
    workers: int = 0,
    skips: SkippedVideos,
    batch: int,
    frames_read: Mapping[str, tuple[int, ...]] | None = None,
) -> Iterator[Batch]:
    """Every view of every video, in order, all crops of a clip in one batch. Unreadable videos are skipped.

    Clips have the frames in `frames_read` alone, by default all. Without a task there are no targets.
    """
    views = recipe.views
    mine = range(rank, len(videos), world)
    requests = [(index, ClipRequest(0, clip=clip, clips=views.clips)) for index in mine for clip in range(views.clips)]
    few = max(batch // views.crops, 1)
    order = [requests[i : i + few] for i in range(0, len(requests), few)]
    videos, crop = reader_of(videos, recipe, clips, frames_read or {})
    for batch_requests, found, waited in read_clips(videos, order, workers, device, skips.given_up, crop):
        readable_places(found, skips, len(videos))
        shown = [
            (index, sample, crop)
            for (index, _), sample in zip(batch_requests, found)
            if isinstance(sample, Sample)
            for crop in range(views.crops)
        ]
        if not shown:
            continue
        made = concatenated([make_view(sample, recipe, clips, crop, device) for _, sample, crop in shown], clips)
        targets: Targets = {}
        if task:
            moved = [view_targets(sample, crop, task, clips) for _, sample, crop in shown]
            targets = targets_to(task.collated(moved), device)
        indices = [index for index, _, _ in shown]
        weights = torch.ones(len(shown), device=device)
        samples = [sample for _, sample, _ in shown]
        yield make_batch(made, targets, weights, indices, samples, [videos.name(i) for i in indices], waited)


def beside_the_step(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches; on a GPU they are copied there and augmented while the step before them still runs."""
    if device.type != "cuda":
        yield from batches
        return
    side = torch.cuda.Stream(device)
    while True:
        with torch.cuda.stream(side):
            batch = next(batches, None)
        if batch is None:
            return
        step = torch.cuda.current_stream(device)
        step.wait_stream(side)
        for x in tensors_of([batch.clips, batch.targets, batch.weights]):
            x.record_stream(step)  # so that its memory is not used again before the step is done
        yield batch


def reader_of(
    videos: Videos, recipe: Recipe, clips: Mapping[str, Clip], frames_read: Mapping[str, tuple[int, ...]]
) -> tuple[Videos, ReaderCrop]:
    """Videos of which only those frames are decoded, and what is done to each clip once it is read."""
    videos = replace(videos, frames_read=frames_read) if isinstance(videos, Files) else videos
    return videos, ReaderCrop(recipe, clips, frames_read)


def shortened(clips: Mapping[str, Clip], frames_read: Mapping[str, tuple[int, ...]]) -> dict[str, Clip]:
    """Clips of the frames that are read."""
    return {name: clip.but(frames=len(frames_read.get(name, range(clip.frames)))) for name, clip in clips.items()}


def make_batch(
    made: Tensor | dict[str, Tensor],
    targets: Targets,
    weights: Tensor,
    indices: list[int],
    samples: list[Sample],
    names: list[str],
    waited: float,
) -> Batch:
    """Assemble a batch."""
    starts, ends = (tuple(getattr(sample, name) for sample in samples) for name in ("start", "end"))
    return Batch(made, targets, weights, tuple(indices), tuple(names), starts, ends, waited)


def clip_weights(readable: Sequence[bool], device: torch.device) -> Tensor:
    """1 for each clip that was read, 0 for the others, filled on the device: a copy to it would wait."""
    weights = torch.ones(len(readable), device=device)
    for place, one in enumerate(readable):
        if not one:
            weights[place] = 0
    return weights


def split_batch(batch: Batch, parts: int) -> Iterator[tuple[Batch, bool]]:
    """(micro-batch, whether it is the last) of a batch. Only what the loss needs is split."""
    size = len(batch.weights) // parts
    for i in range(parts):
        mine = slice(i * size, (i + 1) * size)
        clips = batch.clips
        part = clips[mine] if isinstance(clips, Tensor) else {name: clip[mine] for name, clip in clips.items()}
        targets = targets_of_clips(batch.targets, mine)
        yield batch._replace(clips=part, targets=targets, weights=batch.weights[mine]), i + 1 == parts


def readable_places(found: list[Sample | Unreadable], skips: SkippedVideos, count: int) -> list[int]:
    """Positions of the clips that were read; unreadable ones are recorded."""
    for one in found:
        if isinstance(one, Unreadable):
            skips.add(one, count)
    return [i for i, one in enumerate(found) if isinstance(one, Sample)]


def with_replacements(
    found: list[Sample | Unreadable], batch_requests: list[VideoRequest], present: list[int]
) -> tuple[list[Sample], list[ClipRequest]]:
    """The clips, each unreadable one replaced by another of the batch."""
    if not present:
        return [], []
    places = [i if isinstance(one, Sample) else present[i % len(present)] for i, one in enumerate(found)]
    samples = [one for i in places if isinstance(one := found[i], Sample)]
    return samples, [batch_requests[i][1] for i in places]


def training_targets(sample: Sample, task: Task, clips: Mapping[str, Clip]) -> Targets:
    """A sample's targets, cropped and mirrored like its first pictures."""
    name = first_pictures(clips)
    return task.moved(sample.targets, sample.cuts[name]) if name and sample.cuts else sample.targets


def view_targets(sample: Sample, crop: int, task: Task, clips: Mapping[str, Clip]) -> Targets:
    """A sample's targets in one of the crops of a test."""
    name = first_pictures(clips)
    return task.moved(sample.targets, view_cut(name, sample, crop, task.recipe, clips)) if name else sample.targets


def zero_clips(clips: Mapping[str, Clip], count: int, device: torch.device) -> Tensor | dict[str, Tensor]:
    """Zeros, for a batch without readable clips."""
    return concatenated([blank_clips(clips, device) for _ in range(count)], clips)


def blank_clips(clips: Mapping[str, Clip], device: torch.device) -> dict[str, Tensor]:
    """Zeros as a batch of one; of texts the first id."""
    kinds = {name: torch.long if clip.ids else torch.float32 for name, clip in clips.items()}
    return {name: torch.zeros(1, *clip.shape, dtype=kinds[name], device=device) for name, clip in clips.items()}


def concatenated(maps: list[Any], clips: Mapping[str, Clip]) -> Tensor | dict[str, Tensor]:
    """Clips concatenated: a tensor where the arch has one clip, else by name."""
    made = {name: torch.cat([one[name] if isinstance(one, dict) else one for one in maps]) for name in clips}
    return made if len(made) > 1 else next(iter(made.values()))
