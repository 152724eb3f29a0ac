"""Pixels as the network's numbers, by modality."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipe_clips import Values

PIXELS = ("rgb", "gray", "rgb_diff")
"""Modalities that are made of a video's colours."""
FRAMELESS = ("audio", "boxes", "features")
"""Modalities that are no pictures: nothing is cut, changed or scaled."""
LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in gray (ITU-R BT.601, as in PIL and OpenCV)."""


def in_values(x: Tensor, clip: Clip, values: Values, *, stored: bool) -> Tensor:
    """Frames in network values.  (c, t, h, w) from 0 to 255 -> (channels, frames, h, w)

    What was read as numbers (not `stored` as pixels) has them already. Differences of frames are between neighbours,
    so that there is one frame more to read than the clip has.
    """
    if not stored or clip.modality in FRAMELESS:
        return x
    x = x / 255
    match clip.modality:
        case "flow":
            return (x - values.flow_mean) / values.flow_std
        case "gray":
            x = gray(x) if x.shape[0] == 3 else x
            return (x - mean(values.mean)) / mean(values.std)
        case "rgb_diff":
            return (x[:, 1:] - x[:, :-1]) / per_channel(values.std, x, values)
        case _:
            return (x - per_channel(values.mean, x, values)) / per_channel(values.std, x, values)


def gray(x: Tensor) -> Tensor:
    """Brightness of red, green and blue, which lie along the first axis.  (3, ...) -> (1, ...)"""
    shares = torch.tensor(LUMA, dtype=x.dtype, device=x.device)
    return (x * shares.view(3, *[1] * (x.ndim - 1))).sum(0, keepdim=True)


def mean(numbers: tuple[float, ...]) -> float:
    """Their average."""
    return sum(numbers) / len(numbers)


def per_channel(numbers: tuple[float, ...], x: Tensor, values: Values) -> Tensor:
    """A number for every channel; a single one is for all."""
    if len(numbers) not in (1, x.shape[0]):
        raise SpecError(
            "means and stds of other channels than the clip's",
            at="recipe.values",
            written=values.written,
            got=f"{len(numbers)} of each",
            want=f"{x.shape[0]}, or 1",
        )
    return torch.tensor(numbers, device=x.device).view(-1, 1, 1, 1)
