"""Brightness, contrast, saturation of a whole clip. Frames are (c, t, h, w), from 0 to 255."""

from __future__ import annotations

from random import Random

from torch import Tensor

from archdsl.training.data.transforms.normalisation import gray


def coloured(x: Tensor, strength: float, dice: Random) -> Tensor:
    """Each of the three times a factor near 1, one for all frames, in drawn order (PySlowFast's color_jitter_list)."""
    if not strength:
        return x
    changes = [brightened, contrasted, saturated]
    dice.shuffle(changes)
    for change in changes:
        x = change(x, 1 + strength * (2 * dice.random() - 1))
    return x


def brightened(x: Tensor, factor: float) -> Tensor:
    """Between black (0) and twice as bright (2)."""
    return (x * factor).clamp(0, 255)


def contrasted(x: Tensor, factor: float) -> Tensor:
    """Between each frame's average gray (0) and twice the contrast (2)."""
    return blended(x, gray(x).mean(dim=(2, 3), keepdim=True), factor)


def saturated(x: Tensor, factor: float) -> Tensor:
    """Between gray (0) and twice as colourful (2)."""
    return blended(x, gray(x), factor)


def blended(x: Tensor, other: Tensor, factor: float) -> Tensor:
    """All of the other (0), the clip itself (1), or beyond it."""
    return (other + (x - other) * factor).clamp(0, 255)
