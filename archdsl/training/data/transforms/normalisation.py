"""Pixels as the network's numbers, by modality."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Values

FRAMELESS = ("audio", "boxes", "features")
"""Modalities that are no pictures: nothing is cut, changed or scaled."""
LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in gray (ITU-R BT.601, as in PIL and OpenCV)."""


def in_values(x: Tensor, clip: Clip, values: Values, *, stored: bool) -> Tensor:
    """Frames in network values.  (c, t, h, w)

    Pixels lie from 0 to 255, differences from -255 to 255. Flow that was `stored` as pixels is at rest at 127.5, other
    flow is in pixels per frame. Pictures that lie in a row as channels are treated alike.
    """
    match clip.modality:
        case "flow":
            share = x / 255 - 0.5 if stored else x.clamp(-values.flow_bound, values.flow_bound) / values.flow_bound / 2
            return share / values.flow_std
        case "gray":
            return (x / 255 - mean(values.mean)) / mean(values.std)
        case "rgb_diff":
            return x / 255 / per_channel(values.std, x, values)
        case "rgb":
            return (x / 255 - per_channel(values.mean, x, values)) / per_channel(values.std, x, values)
        case _:
            return x


def gray(x: Tensor) -> Tensor:
    """Brightness of every pixel, in place of each of its colours. Channels are red, green, blue, over and over, or one.

    (c, t, h, w) -> (c, t, h, w)
    """
    if x.shape[0] % 3:
        return x
    shares = torch.tensor(LUMA, dtype=x.dtype, device=x.device).view(3, 1, 1, 1)
    levels = (x.reshape(-1, 3, *x.shape[1:]) * shares).sum(1, keepdim=True)
    return levels.expand(-1, 3, *x.shape[1:]).flatten(0, 1)


def mean(numbers: tuple[float, ...]) -> float:
    """Their average."""
    return sum(numbers) / len(numbers)


def per_channel(numbers: tuple[float, ...], x: Tensor, values: Values) -> Tensor:
    """A number for every channel: in turn, where several pictures lie in a row."""
    if x.shape[0] % len(numbers):
        raise SpecError(
            "means and stds of other channels than the clip's",
            at="recipe.values",
            written=values.written,
            got=f"{len(numbers)} of each",
            want=f"{x.shape[0]}, a divisor of it, or 1",
        )
    return torch.tensor(numbers, device=x.device).repeat(x.shape[0] // len(numbers)).view(-1, 1, 1, 1)
