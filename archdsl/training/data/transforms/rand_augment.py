"""RandAugment (arXiv:1909.13719) of a whole clip: each operation the same for all frames.

The paper's fourteen operations, drawn evenly and with repeats. A magnitude from 0 (no change) to 10 has the ranges of
torchvision's RandAugment: rotations to 30 degrees, shears to 0.3, shifts to 150/331 of a side, colours 0.9 either way.
Frames are (c, t, h, w), from 0 to 255; pixels from outside the frame are gray 128, as in the paper's code.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, radians, sin
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample

from archdsl.training.data.transforms.colours import adjust_brightness, adjust_contrast, adjust_saturation, blend

GRAY = 128.0
Operation = Callable[[Tensor, float], Tensor]


def rand_augment(x: Tensor, count: int, magnitude: float, rng: Random) -> Tensor:
    """`count` random operations in a row, each in a random direction where it has two."""
    for _ in range(count):
        operation = OPERATIONS[int(rng.random() * len(OPERATIONS))]
        sign = 1 if rng.random() < 0.5 else -1
        x = operation(x, sign * magnitude / 10)
    return x


def identity(x: Tensor, level: float) -> Tensor:
    """No change."""
    return x


def auto_contrast(x: Tensor, level: float) -> Tensor:
    """Every channel of a frame stretched to 0 and 255."""
    low, high = x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
    flat = high <= low
    return torch.where(flat, x, (x - low) * (255 / torch.where(flat, torch.ones_like(x[..., :1, :1]), high - low)))


def equalize(x: Tensor, level: float) -> Tensor:
    """Equalise the histogram of every channel of a frame (PIL's ImageOps.equalize)."""
    pixels = x.round().long().flatten(0, 1).flatten(1)
    counts = torch.zeros(len(pixels), 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(1, pixels, torch.ones_like(pixels))
    last = counts.gather(1, pixels.amax(1, keepdim=True))
    step = (pixels.shape[1] - last) // 255
    table = (step // 2 + counts.cumsum(1) - counts) // step.clamp(min=1)
    made = torch.where(step > 0, table.clamp(0, 255).gather(1, pixels), pixels)
    return made.view(x.shape).to(x.dtype)


def rotate(x: Tensor, level: float) -> Tensor:
    """About the centre, by up to 30 degrees."""
    angle = radians(30 * level)
    return warp_affine(x, ((cos(angle), -sin(angle), 0), (sin(angle), cos(angle), 0)))


def solarize(x: Tensor, level: float) -> Tensor:
    """Pixels from a threshold on inverted; the threshold falls from 255 to 0."""
    return torch.where(x >= 255 * (1 - abs(level)), 255 - x, x) if level else x


def color(x: Tensor, level: float) -> Tensor:
    """More or less saturated."""
    return adjust_saturation(x, 1 + 0.9 * level)


def posterize(x: Tensor, level: float) -> Tensor:
    """From 8 to 4 bits left of every value."""
    width = 2.0 ** round(4 * abs(level))
    return (x.round() / width).floor() * width


def contrast(x: Tensor, level: float) -> Tensor:
    """More or less contrast."""
    return adjust_contrast(x, 1 + 0.9 * level)


def brightness(x: Tensor, level: float) -> Tensor:
    """Brighter or darker."""
    return adjust_brightness(x, 1 + 0.9 * level)


def sharpness(x: Tensor, level: float) -> Tensor:
    """Sharper, or smoothed by a 3 x 3 kernel of ones around a five (PIL); pixels at the border stay."""
    kernel = torch.ones(1, 1, 3, 3, dtype=x.dtype, device=x.device)
    kernel[..., 1, 1] = 5
    smooth = x.clone()
    if min(x.shape[2:]) > 2:
        smooth[..., 1:-1, 1:-1] = conv2d(x.flatten(0, 1)[:, None], kernel / 13).view_as(x[..., 1:-1, 1:-1])
    return blend(x, smooth, 1 + 0.9 * level)


def shear_x(x: Tensor, level: float) -> Tensor:
    """Rows shifted in proportion to their distance from the middle."""
    return warp_affine(x, ((1, 0.3 * level, 0), (0, 1, 0)))


def shear_y(x: Tensor, level: float) -> Tensor:
    """Columns shifted in proportion to their distance from the middle."""
    return warp_affine(x, ((1, 0, 0), (0.3 * level, 1, 0)))


def translate_x(x: Tensor, level: float) -> Tensor:
    """To the side."""
    return warp_affine(x, ((1, 0, x.shape[3] * level * 150 / 331), (0, 1, 0)))


def translate_y(x: Tensor, level: float) -> Tensor:
    """Up or down."""
    return warp_affine(x, ((1, 0, 0), (0, 1, x.shape[2] * level * 150 / 331)))


OPERATIONS: tuple[Operation, ...] = (
    *(identity, auto_contrast, equalize, rotate, solarize, color, posterize),
    *(contrast, brightness, sharpness, shear_x, shear_y, translate_x, translate_y),
)


def warp_affine(x: Tensor, matrix: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Tensor:
    """Affine warp, bilinear: the matrix maps output positions, relative to the centre, to input positions."""
    height, width = x.shape[2:]
    (a, b, c), (d, e, f) = matrix
    # affine_grid counts half sides, so that a step down is not as long as a step to the right
    theta = torch.empty(6, device=x.device)
    for i, number in enumerate((a, b * height / width, 2 * c / width, d * width / height, e, 2 * f / height)):
        theta[i] = number  # filled on the device: a copy to it would wait
    grid = affine_grid(theta.view(1, 2, 3), [1, 1, height, width], align_corners=False).to(x.dtype)
    frames = (x - GRAY).flatten(0, 1)[None]
    return grid_sample(frames, grid, align_corners=False)[0].view(x.shape) + GRAY
