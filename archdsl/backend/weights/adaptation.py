"""Weights for a network that differs a little: kernels inflated, other channels of the clip, other positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

POSITIONS = "positions"
"""What addresses of tables of learnt positions have: .hw of a frame's patches, .t of frames, .thw of both."""
AXIS_TABLES = ("table_t", "table_h", "table_w")
"""Tables of relative positions along one axis (arXiv:2112.01526)."""
MOST_CHANNELS = 20
"""Channels of a clip: ten pairs of flow. A kernel on more reads features."""


class Ways(NamedTuple):
    """How weights are adapted."""

    inflate: Literal["mean", "centre"] = "mean"
    """A kernel of one frame in several: spread evenly (arXiv:1705.07750), or in the middle, zeros around."""
    channels: Literal["mean", "repeat"] = "mean"
    """A first convolution on other channels: the mean over the file's for each, not rescaled (arXiv:1608.00859), or
    the file's in turn, times old / new, as timm does it."""


def first_weights(own: Iterable[str]) -> set[str]:
    """The first weight of each pathway: what reads the clip."""
    firsts: dict[str, str] = {}
    for name in own:
        firsts.setdefault(name.partition(".")[0], name)
    return {name for pathway, name in firsts.items() if pathway not in ("edges", "head")}


def adapted(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], ways: Ways
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, address -> what was done): fitted is what differs in kernel frames, clip channels or positions only."""
    made, notes = dict(tensors), {}
    firsts = first_weights(own)
    for name in (name for name in own if name in tensors):
        tensor, shape, done = tensors[name], tuple(own[name].shape), []
        if tensor.ndim == 4 and len(shape) == 5:
            tensor = tensor.unsqueeze(2)
        if name in firsts and differs_in(tensor, shape, 1) and tensor.ndim > 3 and tensor.shape[1] <= MOST_CHANNELS:
            done.append(f"{tensor.shape[1]} -> {shape[1]} channels ({ways.channels})")
            tensor = other_channels(tensor, shape[1], ways.channels)
        if differs_in(tensor, shape, 2) and tensor.ndim == 5 and tensor.shape[2] == 1:
            done.append(f"1 -> {shape[2]} frames ({ways.inflate})")
            tensor = inflated_kernel(tensor, shape[2], ways.inflate)
        if POSITIONS in name.split(".") and differs_in(tensor, shape, 0) and tensor.ndim == 2:
            done.append(f"{len(tensor)} -> {shape[0]} positions ({'linear' if name.endswith('.t') else 'bicubic'})")
            tensor = in_time(tensor, shape[0]) if name.endswith(".t") else in_space(tensor, shape[0])
        if differs_in(tensor, shape, 0) and tensor.ndim == 2 and tensor.shape[1] == shape[1]:
            last = name.rpartition(".")[2]
            if last in AXIS_TABLES:
                done.append(f"{len(tensor)} -> {shape[0]} relative positions (linear)")
                tensor = in_time(tensor, shape[0])
            elif last == "table":
                done.append(f"{len(tensor)} -> {shape[0]} relative positions (trilinear)")
                tensor = in_window(tensor, shape[0])
        if done and tuple(tensor.shape) == shape:
            made[name], notes[name] = tensor, ", ".join(done)
    return made, notes


def in_time(table: Tensor, frames: int) -> Tensor:
    """A table of positions for other frames, between those of the file.  (t, c) -> (frames, c)"""
    return interpolate(table.float().T[None], size=frames, mode="linear")[0].T.contiguous()


def in_space(table: Tensor, count: int) -> Tensor:
    """A table of positions for another square of patches, class tokens before it kept.  (n, c) -> (count, c)

    As it is where neither is a square, nor one and a square.
    """
    for tokens in (0, 1):
        side, wanted = isqrt(len(table) - tokens), isqrt(count - tokens)
        if side * side == len(table) - tokens and wanted * wanted == count - tokens:
            kept, grid = table[:tokens].float(), table[tokens:].float().T.reshape(1, -1, side, side)
            made = interpolate(grid, size=(wanted, wanted), mode="bicubic", align_corners=False)
            return torch.cat([kept, made.flatten(2)[0].T])
    return table


def in_window(table: Tensor, count: int) -> Tensor:
    """A table of relative positions for another window.  (t * s * s, heads) -> (count, heads), t and s odd

    A window within a frame (t = 1) is repeated along time (arXiv:2106.13230). As it is where no window has `count`.
    """
    (t, s), (frames, size) = extents_of(len(table), count)
    if not frames:
        return table
    grid = table.float().T.reshape(1, -1, t, s, s)
    made = interpolate(grid, size=(frames, size, size), mode="trilinear", align_corners=True)
    return made[0].flatten(1).T.contiguous()


def extents_of(count: int, wanted: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(t, s) of two tables of t * s * s rows: those that share one of both, of several the most even; 0 for none."""
    before, after = ([(n // s**2, s) for s in range(isqrt(n), 0, -1) if n % s**2 == 0] for n in (count, wanted))
    odd = [(a, b) for a in before for b in after if all(n % 2 for n in (*a, *b))]
    alike = [(a, b) for a, b in odd if a[1] == b[1] > 1 or (a[0] == b[0] and a[1] > 1 and b[1] > 1)]
    return max(alike or odd, key=lambda pair: min(pair[0]) * min(pair[1]), default=((0, 0), (0, 0)))


def differs_in(tensor: Tensor, shape: tuple[int, ...], axis: int) -> bool:
    """Whether the size along an axis is another, and the number of axes the same."""
    return tensor.ndim == len(shape) > axis and tensor.shape[axis] != shape[axis]


def other_channels(kernel: Tensor, channels: int, way: str) -> Tensor:
    """A kernel for other channels of the clip."""
    if way == "mean":
        return kernel.mean(1, keepdim=True).repeat_interleave(channels, dim=1)
    before = kernel.shape[1]
    return kernel[:, torch.arange(channels) % before] * (before / channels)


def inflated_kernel(kernel: Tensor, frames: int, way: str) -> Tensor:
    """A kernel of one frame in several."""
    if way == "mean":
        return kernel.repeat_interleave(frames, dim=2) / frames
    made = torch.zeros(*kernel.shape[:2], frames, *kernel.shape[3:], dtype=kernel.dtype)
    made[:, :, frames // 2] = kernel[:, :, 0]
    return made
