"""Labelled clips by index, and the order in which training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Clips(Protocol):
    """Labelled clips that can be asked for by index."""

    def __len__(self) -> int:
        """How many there are."""

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Clips and labels.  (n, c, t, h, w), (n,)"""


def indices_at(step: int, batch: int, count: int, seed: int) -> list[int]:
    """Which of `count` clips a step sees: each once per epoch, in an order drawn anew for every epoch.

    A pure function, so that training can be taken up at any step.
    """
    places = range(step * batch, (step + 1) * batch)
    return [epoch_order(place // count, count, seed)[place % count] for place in places]


@lru_cache(maxsize=2)
def epoch_order(epoch: int, count: int, seed: int) -> list[int]:
    """The order of one epoch."""
    dice = torch.Generator().manual_seed(Random(f"{seed} {epoch}").getrandbits(32))
    order: list[int] = torch.randperm(count, generator=dice).tolist()
    return order


class Take(NamedTuple):
    """Which view of a video, drawn before it is read."""

    seed: int
    clip: int = 0
    clips: int = 1
    training: bool = False
    centre: float | None = None


class Sample(NamedTuple):
    """One clip of one video, as it was read."""

    frames: dict[str, Tensor]
    label: Tensor
    name: str
    start: float = 0.0
    end: float = 0.0
