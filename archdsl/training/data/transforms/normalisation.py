"""Normalisation of pixels, frame differences and flow."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Values
from archdsl.training.data.luma import luma

FRAMELESS = ("audio", "boxes", "features", "mask", "text", "skeleton")
"""Modalities that are not pictures: not cropped, augmented or scaled."""


def normalise(x: Tensor, clip: Clip, values: Values, *, stored: bool) -> Tensor:
    """Normalise frames.  (c, t, h, w)

    Pixels lie from 0 to 255, differences from -255 to 255. Flow that was `stored` as pixels is at rest at 127.5, other
    flow is in pixels per frame. Frames stacked as channels are treated alike.
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


def denormalised(x: Tensor, clip: Clip, values: Values) -> Tensor:
    """What `normalise` makes `x` of: pixels, differences, flow in pixels per frame, others as is.  (c, t, h, w)"""
    match clip.modality:
        case "flow":
            return x * values.flow_std * 2 * values.flow_bound
        case "gray":
            return (x * mean(values.std) + mean(values.mean)) * 255
        case "rgb_diff":
            return x * per_channel(values.std, x, values) * 255
        case "rgb":
            return raw_pixels(x, values)
        case _:
            return x


def bounds_of(clip: Clip, values: Values) -> tuple[float, float] | None:
    """The least and the largest number of a clip before it is normalised; None where there are no such bounds."""
    match clip.modality:
        case "flow":
            return -values.flow_bound, values.flow_bound
        case "rgb" | "gray":
            return 0.0, 255.0
        case "rgb_diff":
            return -255.0, 255.0
        case "heatmaps":
            return 0.0, 1.0
        case _:
            return None


def raw_pixels(x: Tensor, values: Values) -> Tensor:
    """Pixels of a normalised rgb clip, neither rounded nor clamped.  (c, t, h, w)"""
    return (x * per_channel(values.std, x, values) + per_channel(values.mean, x, values)) * 255


def pixels_of(x: Tensor, values: Values) -> Tensor:
    """Pixels from 0 to 255 of a normalised rgb clip: what a prediction draws on.  (3, t, h, w) -> uint8"""
    return raw_pixels(x, values).round().clamp(0, 255).to(torch.uint8)


def to_gray(x: Tensor) -> Tensor:
    """Brightness of every pixel, in place of each of its colours. Channels are red, green, blue, over and over, or one.

    (c, t, h, w) -> (c, t, h, w)
    """
    if x.shape[0] % 3:
        return x
    levels = luma(x.reshape(-1, 3, *x.shape[1:]), 1)
    return levels.expand(-1, 3, *x.shape[1:]).flatten(0, 1)


def mean(numbers: tuple[float, ...]) -> float:
    """Their average."""
    return sum(numbers) / len(numbers)


def per_channel(numbers: tuple[float, ...], x: Tensor, values: Values) -> Tensor:
    """One number per channel, repeated for frames stacked as channels."""
    if x.shape[0] % len(numbers):
        raise SpecError(
            "means and stds do not match the clip's channels",
            at="recipe.values",
            written=values.written,
            got=f"{len(numbers)} of each",
            want=f"{x.shape[0]}, a divisor of it, or 1",
        )
    found = torch.empty(x.shape[0], 1, 1, 1, device=x.device)
    for i, number in enumerate(numbers):  # filled on the device: a copy to it would wait
        found[i :: len(numbers)] = number
    return found
