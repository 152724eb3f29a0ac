"""Stand-in until branch eval is merged: the middle, normalised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.language import Clip
from archdsl.language.recipe import Recipe
from archdsl.training.clips import Sample, Take


def augmented(
    samples: list[Sample], takes: list[Take], recipe: Recipe, clips: Mapping[str, Clip], device: torch.device
) -> tuple[Any, Tensor]:
    made = [viewed(sample, recipe, clips, 0, device) for sample in samples]
    maps = {name: torch.cat([one[name] for one in made]) for name in clips}
    return maps if len(maps) > 1 else next(iter(maps.values())), torch.stack([s.label for s in samples]).to(device)


def viewed(
    sample: Sample, recipe: Recipe, clips: Mapping[str, Clip], crop: int, device: torch.device
) -> dict[str, Tensor]:
    made = {}
    for name, clip in clips.items():
        x = sample.frames[name].to(device).float().transpose(0, 1)
        size = clip.shape.h
        scale = size / min(x.shape[2:])
        if scale != 1:
            x = interpolate(x, size=[round(n * scale) for n in x.shape[2:]], mode="bilinear", antialias=True)
        top, left = ((n - size) // 2 for n in x.shape[2:])
        x = x[:, :, top : top + size, left : left + size].transpose(0, 1)[None]
        made[name] = (x / 255 - 0.45) / 0.225
    return made
