"""Clips and maps as frames of colours: every modality, heat over it, grids of several."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.clip import CHANNELS
from archdsl.language.recipes.clips import Values
from archdsl.ops import Axis, Grid
from archdsl.training.data.modalities import stacked_frames
from archdsl.training.data.transforms.normalisation import FRAMELESS, denormalised
from archdsl.training.evaluation.flow_picture import flow_colours

LEAST_PICTURE = 128
"""Pixels of a picture's shorter side; smaller ones are enlarged_frames, pixel by pixel."""
HEAT_SHARE = 0.6
"""Of the colour over what is hottest; the picture below has the rest."""
TINY = 1e-37
"""No number of a map is divided by less: of networks that were not trained gradients are tiny, and tell of places."""
GRID_GAP = 2
"""Pixels between the pictures of a grid."""
HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""From cold to hot: brightness rises all the way, so that it also prints in grey."""
SIGNED = ((33, 102, 172), (247, 247, 247), (178, 24, 43))
"""From below 0, blue, by white to above 0, red."""


def unstacked(x: Tensor, clip: Clip) -> Tensor:
    """Frames that are stacked as channels, one after the other.  (k * c, t, h, w) -> (c, t * k, h, w)"""
    stack = stacked_frames(clip) if clip.modality in CHANNELS and clip.modality not in FRAMELESS else 1
    if stack == 1 or x.shape[0] % stack:
        return x
    return x.unflatten(0, (stack, -1)).permute(1, 2, 0, 3, 4).flatten(1, 2)


def stacked_again(x: Tensor, clip: Clip, frames: int) -> Tensor:
    """The inverse of `unstacked`, for a clip of so many frames."""
    if x.shape[1] == frames:
        return x
    return x.unflatten(1, (frames, -1)).permute(2, 0, 1, 3, 4).flatten(0, 1)


def clip_frames(x: Tensor, clip: Clip, values: Values) -> Tensor:
    """A normalised clip as it is seen.  (c, t, h, w) -> (3, frames, height, width) uint8"""
    x = unstacked(denormalised(x.detach().cpu().float(), clip, values), clip)
    match clip.modality:
        case "rgb" | "gray" if x.shape[0] in (1, 3):
            return rounded(x.expand(3, *x.shape[1:]))
        case "rgb_diff" if x.shape[0] == 3:
            return rounded(127.5 + x / 2)
        case "flow" if x.shape[0] in (2, 3):
            return flow_frames(x[:2])
        case _:
            return heat_colours(unit(sheet(x, clip)))


def sheet(x: Tensor, clip: Clip) -> Tensor:
    """What is no picture as one: the strongest of the channels where frames have an area, else time to the right.

    (c, t, h, w) -> (frames, height, width)
    """
    if min(x.shape[2:]) > 1 and clip.modality not in FRAMELESS:
        return x.amax(0)
    return x.permute(0, 2, 3, 1).flatten(0, 2)[None]


def flow_frames(x: Tensor) -> Tensor:
    """Flow in Middlebury's colours, of one scale for all frames.  (2, t, h, w) -> (3, t, h, w) uint8"""
    _, t, _, w = x.shape
    return flow_colours(x.transpose(1, 2).flatten(2)).unflatten(2, (t, w)).transpose(1, 2)


def rounded(x: Tensor) -> Tensor:
    """Pixels as whole numbers."""
    return x.round().clamp(0, 255).to(torch.uint8)


def largest(x: Tensor) -> Tensor:
    """The largest absolute number, above 0."""
    return x.abs().max().clamp(min=TINY)


def unit(x: Tensor) -> Tensor:
    """Numbers from 0 for the least to 1 for the largest; 0 where all are alike."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low).clamp(min=TINY)


def coloured(x: Tensor, stops: Sequence[tuple[int, int, int]]) -> Tensor:
    """Numbers from 0 to 1 as colours between stops.  (...) -> (3, ...) from 0 to 255"""
    table = torch.tensor(stops, dtype=torch.float32)
    place = x.float().clamp(0, 1) * (len(table) - 1)
    low = place.floor().long().clamp(max=len(table) - 2)
    share = (place - low)[..., None]
    return ((1 - share) * table[low] + share * table[low + 1]).movedim(-1, 0)


def heat_colours(x: Tensor) -> Tensor:
    """Numbers from 0 to 1 as colours.  (t, h, w) -> (3, t, h, w) uint8"""
    return rounded(coloured(x, HEAT))


def signed_colours(x: Tensor) -> Tensor:
    """Numbers of either sign, blue below 0 and red above, white at 0.  (t, h, w) -> (3, t, h, w) uint8"""
    return rounded(coloured(x / largest(x) / 2 + 0.5, SIGNED))


def over(frames: Tensor, heat: Tensor, *, signed: bool = False) -> Tensor:
    """Heat over frames, the stronger the less of them shows.  (3, t, h, w) uint8, (t, h, w) -> (3, t, h, w) uint8"""
    heat = heat.detach().cpu().float()
    if signed:
        share = (heat.abs() / largest(heat))[None] * HEAT_SHARE
        return rounded(frames * (1 - share) + signed_colours(heat) * share)
    warm = heat.clamp(min=0) / heat.max().clamp(min=TINY)
    share = warm[None] ** 0.5 * HEAT_SHARE
    return rounded(frames * (1 - share) + coloured(0.3 + 0.7 * warm, HEAT) * share)


def over_clip(heat: Tensor, grid: Grid, shape: Sequence[int]) -> Tensor:
    """A map over the frames and pixels of its clip, linearly between its elements, which lie where its grid says.

    (t, h, w) -> shape
    """
    for dim, (axis, length) in enumerate(zip((grid.t, grid.h, grid.w), shape)):
        heat = torch.tensordot(between(heat.shape[dim], axis, length).to(heat), heat, ([1], [dim])).movedim(0, dim)
    return heat


def between(count: int, axis: Axis, length: int) -> Tensor:
    """Shares of `count` elements at each of `length` places; beyond the first and the last these alone.

    (length, count)
    """
    step = float(axis.step) or 1.0
    place = ((torch.arange(length) - float(axis.start)) / step).clamp(0, count - 1)
    return (1 - (place[:, None] - torch.arange(count)).abs()).clamp(min=0)


def enlarged_frames(frames: Tensor, least: int = LEAST_PICTURE) -> Tensor:
    """Each pixel as a square of several, where a picture is small; sides are even.  (3, t, h, w) uint8"""
    factor = max(1, ceil(least / min(frames.shape[2:]))) if max(frames.shape[2:]) < 2 * least else 1
    frames = frames.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return frames[..., : frames.shape[2] // 2 * 2 or 2, : frames.shape[3] // 2 * 2 or 2]


def picture_grid(parts: Sequence[Tensor], columns: int | None = None) -> Tensor:
    """Moving pictures in a grid on white, shorter ones slowed to the longest.  each (3, t, h, w) uint8"""
    frames = max(part.shape[1] for part in parts)
    height, width = (max(part.shape[i] for part in parts) for i in (2, 3))
    columns = columns or len(parts)
    rows = ceil(len(parts) / columns)
    sheet = torch.full(
        (3, frames, rows * (height + GRID_GAP) - GRID_GAP, columns * (width + GRID_GAP) - GRID_GAP),
        255,
        dtype=torch.uint8,
    )
    for i, part in enumerate(parts):
        slowed = part[:, torch.arange(frames) * part.shape[1] // frames]
        top, left = i // columns * (height + GRID_GAP), i % columns * (width + GRID_GAP)
        sheet[:, :, top : top + part.shape[2], left : left + part.shape[3]] = slowed
    return sheet
