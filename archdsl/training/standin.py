"""Stand-in until branches data and eval are merged: digits in memory, centre accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.language import Clip
from archdsl.language.recipe import Recipe
from archdsl.training.clips import indices_at
from archdsl.training.motion import MovingDigits


class Batch(NamedTuple):
    clips: Tensor | dict[str, Tensor]
    labels: Tensor
    weights: Tensor
    indices: tuple[int, ...]
    names: tuple[str, ...]
    waited: float


class Skips:
    def __init__(self, folder: Any, recipe: Recipe) -> None:
        self.counts: dict[str, int] = {}


@dataclass
class Scores:
    figures: dict[str, float]


def videos_of(text: str, split: str, clips: Mapping[str, Clip], recipe: Recipe) -> MovingDigits:
    (clip,) = clips.values()
    count, seed = {"train": (2400, 0), "val": (512, 1), "test": (512, 1)}[split]
    return MovingDigits(count=count, seed=seed, frames=clip.frames, size=clip.shape[2])


def train_feed(
    videos: Any,
    recipe: Recipe,
    clips: Any,
    *,
    start: int,
    steps: int,
    rank: int,
    world: int,
    device: torch.device,
    workers: int,
    skips: Skips,
) -> Iterator[Batch]:
    for step in range(start, start + steps):
        begun = perf_counter()
        indices = indices_at(step, recipe.batch, len(videos), recipe.seed)
        share = recipe.batch // world
        mine = indices[rank * share : (rank + 1) * share]
        views, labels = videos.batch(mine)
        names = tuple(f"motion/{index}" for index in mine)
        waited = perf_counter() - begun
        yield Batch(
            views.to(device), labels.to(device), torch.ones(len(mine), device=device), tuple(mine), names, waited
        )


@torch.no_grad()
def evaluate(
    network: nn.Module, videos: Any, recipe: Recipe, *, device: torch.device, workers: int = 0, **_: Any
) -> Scores:
    network.eval()
    hits = torch.zeros(2)
    for first in range(0, len(videos), 32):
        views, labels = videos.batch(range(first, min(first + 32, len(videos))))
        scores = network(views.to(device)).cpu()
        guesses = scores.topk(min(5, scores.shape[1])).indices == labels[:, None]
        hits += torch.stack((guesses[:, 0].sum(), guesses.sum()))
    top1, top5 = (hits / len(videos)).tolist()
    return Scores({"top1": top1, "top5": top5})
