"""Labelled clips of videos: what is asked for, what is read, what a step sees, and the order of all steps."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Take(NamedTuple):
    """Which clip of a video: a value that is drawn before anything is read."""

    seed: int
    """Of all that is drawn for this clip; in tests nothing is."""
    training: bool = False
    clip: int = 0
    clips: int = 1
    """In tests: which of how many clips along the video."""
    centre: float | None = None
    """Seconds in the video around which a clip lies, where its sampling says so."""


class Sample(NamedTuple):
    """One clip of one video as it is read."""

    frames: dict[str, Tensor]
    """Name of the arch's clip -> (c, t, h, w): uint8 pixels at the video's own size; flow and differences are float32
    in units of a pixel's value and of pixels per frame."""
    label: Tensor
    """() the class, or (classes,) of 0 and 1 where a video may have several."""
    name: str
    start: float
    end: float
    """Seconds in the video of the first and of the last frame."""


class Unreadable(Exception):
    """A video that cannot be read, and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


class Videos(Protocol):
    """Labelled videos that can be asked for by index."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of labels."""

    @property
    def several(self) -> bool:
        """Whether a video may have several labels, or none."""

    def __len__(self) -> int:
        """How many there are."""

    def name(self, index: int) -> str:
        """What a video is called."""

    def read(self, index: int, take: Take) -> Sample:
        """One clip. Raises Unreadable."""


class Batch(NamedTuple):
    """What one step sees, on the device, in the network's numbers."""

    clips: Tensor | dict[str, Tensor]
    """(n, c, t, h, w), or a map by clip name where the arch has several."""
    labels: Tensor
    """(n,) classes, or (n, classes) shares."""
    weights: Tensor
    """(n,) 1, and 0 where a video could not be read: its place holds another clip of the batch."""
    indices: tuple[int, ...]
    names: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    waited: float
    """Seconds that the loop waited for it."""


def indices_at(step: int, batch: int, count: int, seed: int) -> list[int]:
    """Which of `count` videos a step sees: each once per epoch, in an order drawn anew for every epoch.

    A pure function, so that training can be taken up at any step, by any number of processes.
    """
    places = range(step * batch, (step + 1) * batch)
    return [epoch_order(place // count, count, seed)[place % count] for place in places]


def takes_at(step: int, batch: int, count: int, seed: int) -> list[tuple[int, Take]]:
    """What a step sees: videos, and the seed of each one's clip, which no two places of a training share."""
    places = range(step * batch, (step + 1) * batch)
    seeds = [Random(f"clip {seed} {place}").getrandbits(62) for place in places]
    return [(index, Take(s, training=True)) for index, s in zip(indices_at(step, batch, count, seed), seeds)]


@lru_cache(maxsize=2)
def epoch_order(epoch: int, count: int, seed: int) -> list[int]:
    """The order of one epoch."""
    dice = torch.Generator().manual_seed(Random(f"{seed} {epoch}").getrandbits(32))
    order: list[int] = torch.randperm(count, generator=dice).tolist()
    return order
