"""Brightness, contrast, saturation of a whole clip. Frames are (c, t, h, w), from 0 to 255."""

from __future__ import annotations

from random import Random

from torch import Tensor

from archdsl.training.data.transforms.normalisation import to_gray


def jitter_colours(x: Tensor, strength: float, rng: Random) -> Tensor:
    """Brightness, contrast, saturation by random factors near 1, in random order (PySlowFast's color_jitter_list)."""
    if not strength:
        return x
    changes = [adjust_brightness, adjust_contrast, adjust_saturation]
    rng.shuffle(changes)
    for change in changes:
        x = change(x, 1 + strength * (2 * rng.random() - 1))
    return x


def adjust_brightness(x: Tensor, factor: float) -> Tensor:
    """Black at 0, unchanged at 1, twice as bright at 2."""
    return (x * factor).clamp(0, 255)


def adjust_contrast(x: Tensor, factor: float) -> Tensor:
    """Each frame's mean gray at 0, unchanged at 1, twice the contrast at 2."""
    return blend(x, to_gray(x).mean(dim=(2, 3), keepdim=True), factor)


def adjust_saturation(x: Tensor, factor: float) -> Tensor:
    """Gray at 0, unchanged at 1, twice the saturation at 2."""
    return blend(x, to_gray(x), factor)


def blend(x: Tensor, other: Tensor, factor: float) -> Tensor:
    """`other` at 0, the clip at 1, extrapolated beyond."""
    return (other + (x - other) * factor).clamp(0, 255)
