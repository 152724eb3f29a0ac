"""Batches in the order of a recipe, made ready on the training device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Batch, Sample, Take, Unreadable, Videos, takes_at
from archdsl.training.data.reader.workers import Asked, read
from archdsl.training.data.transforms.augment import augmented, viewed
from archdsl.training.data.transforms.noise import mixed
from archdsl.training.distributed import as_one
from archdsl.training.state.skipped_videos import Skips


@dataclass(frozen=True)
class Order:
    """What one of several processes reads at each of some steps, worked out as it is asked for."""

    recipe: Recipe
    count: int
    steps: range
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[Asked]]:
        share = self.recipe.batch // self.world
        for step in self.steps:
            everyone = takes_at(step, self.recipe.batch, self.count, self.recipe.seed)
            yield everyone[self.rank * share : (self.rank + 1) * share]


def train_feed(
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    start: int,
    steps: int,
    rank: int = 0,
    world: int = 1,
    device: torch.device,
    workers: int = 0,
    skips: Skips,
) -> Iterator[Batch]:
    """The batches of steps from `start` on; each of `world` processes gets its part of every batch.

    The same clips in the same order for any number of workers and processes.
    """
    asked = Order(recipe, len(videos), range(start, start + steps), rank, world)
    reading = read(videos, asked, workers, device, skips.lost)
    for step in asked.steps:
        with as_one():
            wanted, found, waited = next(reading)
            present = present_of(found, skips, len(videos))
        indices = [index for index, _ in wanted]
        weights = torch.tensor([float(isinstance(one, Sample)) for one in found], device=device)
        samples, takes = filled(found, wanted, present)
        if samples:
            made, labels = augmented(samples, takes, recipe, clips, device)
        else:
            made, labels = nothing(clips, videos, len(wanted), device)
        made, labels = mixed(made, labels, weights, recipe.augment, len(videos.classes), f"{recipe.seed} {step}")
        yield batch_of(made, labels, weights, indices, samples, [videos.name(i) for i in indices], waited)


def view_feed(
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    rank: int = 0,
    world: int = 1,
    device: torch.device,
    workers: int = 0,
    skips: Skips,
    batch: int,
) -> Iterator[Batch]:
    """Every view of every video, in order: all crops of a clip in one batch. Unreadable videos are left out."""
    views = recipe.views
    mine = range(rank, len(videos), world)
    takes = [(index, Take(0, clip=clip, clips=views.clips)) for index in mine for clip in range(views.clips)]
    few = max(batch // views.crops, 1)
    asked = [takes[i : i + few] for i in range(0, len(takes), few)]
    for wanted, found, waited in read(videos, asked, workers, device, skips.lost):
        present_of(found, skips, len(videos))
        shown = [
            (index, sample, crop)
            for (index, _), sample in zip(wanted, found)
            if isinstance(sample, Sample)
            for crop in range(views.crops)
        ]
        if not shown:
            continue
        made = joined([viewed(sample, recipe, clips, crop, device) for _, sample, crop in shown], clips)
        labels = torch.stack([sample.label for _, sample, _ in shown]).to(device)
        indices = [index for index, _, _ in shown]
        weights = torch.ones(len(shown), device=device)
        samples = [sample for _, sample, _ in shown]
        yield batch_of(made, labels, weights, indices, samples, [videos.name(i) for i in indices], waited)


def batch_of(
    made: Tensor | dict[str, Tensor],
    labels: Tensor,
    weights: Tensor,
    indices: list[int],
    samples: list[Sample],
    names: list[str],
    waited: float,
) -> Batch:
    """A batch of its columns."""
    starts, ends = (tuple(getattr(sample, name) for sample in samples) for name in ("start", "end"))
    return Batch(made, labels, weights, tuple(indices), tuple(names), starts, ends, waited)


def split(batch: Batch, parts: int) -> Iterator[tuple[Batch, bool]]:
    """A batch in equal parts, and whether each is the last. Only what the loss needs is split."""
    size = len(batch.labels) // parts
    for i in range(parts):
        mine = slice(i * size, (i + 1) * size)
        clips = batch.clips
        part = clips[mine] if isinstance(clips, Tensor) else {name: clip[mine] for name, clip in clips.items()}
        yield batch._replace(clips=part, labels=batch.labels[mine], weights=batch.weights[mine]), i + 1 == parts


def present_of(found: list[Sample | Unreadable], skips: Skips, count: int) -> list[int]:
    """Places of the clips that were read; the others are told."""
    for one in found:
        if isinstance(one, Unreadable):
            skips.add(one, count)
    return [i for i, one in enumerate(found) if isinstance(one, Sample)]


def filled(
    found: list[Sample | Unreadable], wanted: list[Asked], present: list[int]
) -> tuple[list[Sample], list[Take]]:
    """The clips, one that was read in place of each that was not."""
    if not present:
        return [], []
    places = [i if isinstance(one, Sample) else present[i % len(present)] for i, one in enumerate(found)]
    samples = [one for i in places if isinstance(one := found[i], Sample)]
    return samples, [wanted[i][1] for i in places]


def nothing(
    clips: Mapping[str, Clip], videos: Videos, count: int, device: torch.device
) -> tuple[Tensor | dict[str, Tensor], Tensor]:
    """Zeros, for a batch of which nothing could be read."""
    maps = [{name: torch.zeros(1, *clip.shape, device=device) for name, clip in clips.items()} for _ in range(count)]
    labels = torch.zeros(count, len(videos.classes)) if videos.several else torch.zeros(count, dtype=torch.long)
    return joined(maps, clips), labels.to(device)


def joined(maps: list[Any], clips: Mapping[str, Clip]) -> Tensor | dict[str, Tensor]:
    """Clips side by side: a tensor where the arch has one clip, else by name."""
    made = {name: torch.cat([one[name] if isinstance(one, dict) else one for one in maps]) for name in clips}
    return made if len(made) > 1 else next(iter(made.values()))
