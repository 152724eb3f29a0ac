"""Labelled clips: requests, samples, batches, and the order of videos in all steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from archdsl.training.data.targets import Targets, map_targets
from archdsl.training.data.transforms.geometry import Cut


class ClipRequest(NamedTuple):
    """Which clip of a video, known before anything is read."""

    seed: int
    """Of all random choices for this clip; tests make none."""
    training: bool = False
    clip: int = 0
    clips: int = 1
    """In tests: which of how many clips along the video."""
    centre: float | None = None
    """Centre of the clip in seconds, for sampling of kind centre."""


class Erased(NamedTuple):
    """A rectangle of noise through all frames."""

    top: int
    left: int
    noise: Tensor
    """(c, t, h, w) in network values"""


class Sample(NamedTuple):
    """One decoded clip of one video."""

    frames: dict[str, Tensor]
    """Name of the arch's clip -> (c, t, h, w): uint8 pixels at the video's own size; flow and differences are float32
    in units of a pixel's value and of pixels per frame. With `cuts` only the part of each frame that its cut reads, or
    the crop."""
    targets: Targets
    """What is true of it, as its task says, of whole frames; of classification () the class, or (classes,) of 0 and 1
    where a video may have several."""
    name: str
    start: float
    end: float
    """Times of the first and the last frame of the clip, in seconds."""
    cuts: Mapping[str, Cut] | None = None
    """Clip name -> its crop in training, mirrored or not, in pixels of the video; None where frames are whole."""
    erased: Mapping[str, Erased] | None = None
    """Clip name -> what is erased."""
    resized: frozenset[str] = frozenset()
    """Clips whose frames are crops, resized and mirrored already."""

    decoded: int = 0
    """Frames of the video that were decoded for it."""

    def mapped(self, change: Callable[[Any], Any]) -> Sample:
        """The sample with every tensor changed, in a fixed order."""
        frames = {name: change(x) for name, x in self.frames.items()}
        erased = self.erased and {name: one._replace(noise=change(one.noise)) for name, one in self.erased.items()}
        return self._replace(frames=frames, erased=erased, targets=map_targets(change, self.targets))


class Unreadable(Exception):
    """A video cannot be read, and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


class Videos(Protocol):
    """Labelled videos by index."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of labels."""

    @property
    def multi_label(self) -> bool:
        """Whether a video may have several labels, or none."""

    def __len__(self) -> int:
        """Number of videos."""

    def name(self, index: int) -> str:
        """Name of a video."""

    def read(self, index: int, request: ClipRequest) -> Sample:
        """Read one clip. Raises Unreadable."""


class Batch(NamedTuple):
    """The normalised clips and targets of one step, on the device."""

    clips: Tensor | dict[str, Tensor]
    """(n, c, t, h, w), or a map by clip name where the arch has several."""
    targets: Targets
    """Of each clip; of classification (n,) classes, or (n, classes) shares."""
    weights: Tensor
    """(n,) 1, and 0 for an unreadable video, replaced by another clip of the batch."""
    indices: tuple[int, ...]
    names: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    waited: float
    """Seconds that the loop waited for the batch."""


def indices_at(step: int, batch: int, count: int, seed: int) -> list[int]:
    """Indices of a step's videos: each of `count` once per epoch, reshuffled every epoch.

    A pure function, so that training can be resumed at any step, by any number of processes.
    """
    places = range(step * batch, (step + 1) * batch)
    return [epoch_order(place // count, count, seed)[place % count] for place in places]


def requests_at(
    step: int, batch: int, count: int, seed: int, members: list[list[int]] | None = None, repeats: int = 1
) -> list[tuple[int, ClipRequest]]:
    """Videos of a step, each with the seed of its clip, which is unique in a training.

    With the videos of each class, `members`, all classes are drawn equally often. Each is there `repeats` times.
    """
    places = range(step * batch, (step + 1) * batch)
    if members is None:
        drawn = indices_at(step, batch // repeats, count, seed)
    else:
        drawn = [evenly_drawn(place // repeats, members, seed) for place in places[::repeats]]
    found = [index for index in drawn for _ in range(repeats)]
    seeds = [Random(f"clip {seed} {place}").getrandbits(62) for place in places]
    return [(index, ClipRequest(s, training=True)) for index, s in zip(found, seeds)]


def evenly_drawn(place: int, members: list[list[int]], seed: int) -> int:
    """The video at a place of all steps: classes take turns in random order, each shows its videos before one again."""
    turn = epoch_order(place // len(members), len(members), seed)[place % len(members)]
    drawn, mine = place // len(members), members[turn]
    rng = Random(f"{seed} class {turn} {drawn // len(mine)}")
    return rng.sample(mine, len(mine))[drawn % len(mine)]


@lru_cache(maxsize=2)
def epoch_order(epoch: int, count: int, seed: int) -> list[int]:
    """The order of one epoch."""
    rng = torch.Generator().manual_seed(Random(f"{seed} {epoch}").getrandbits(32))
    order: list[int] = torch.randperm(count, generator=rng).tolist()
    return order
