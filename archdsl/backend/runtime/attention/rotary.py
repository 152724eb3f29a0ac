"""Rotary positions. The source of each is put into the emitted file, so it uses nothing but torch, nn and F."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.backend.runtime.constants import Constants


def turning(count: int, channels: int, one_angle: bool, start: int) -> Tensor:
    """Cosines and sines of the angles of positions, rates in pairs or twice side by side.  -> (2, count, channels)"""
    pairs = channels // 2
    rates = 10000 ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
    rates = rates.repeat_interleave(2) if one_angle else rates.repeat(2)
    angles = torch.arange(start, start + count, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()]).float()


def turned(x: Tensor, table: Tensor) -> Tensor:
    """Neighbours along the last axis turned as pairs."""
    cosines, sines = table.to(x.dtype)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * cosines + torch.stack([-b, a], dim=-1).flatten(-2) * sines


class Rotary(Constants):
    """In every head each axis of `over` turns `channels`; the rest, and tokens in front, stay."""

    def __init__(
        self,
        heads: int,
        channels: int,
        size: tuple[int, int, int],
        extra: int = 0,
        over: str = "thw",
        one_angle: bool = False,
        start: int = 0,
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.size, self.extra, self.over = heads, channels, size, extra, over
        for axis in over:
            i = "thw".index(axis)
            with torch.device("cpu"):
                table = turning(size[i], channels, one_angle, start)
            table = table.reshape(2, *[size[i] if j == i else 1 for j in range(3)], 1, channels)
            self.constant(axis, table)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2).mT.unflatten(2, (self.heads, -1))
        places = rows[:, self.extra :].unflatten(1, self.size)
        axes = len(self.over)
        parts = places.split([self.channels] * axes + [places.shape[-1] - axes * self.channels], dim=-1)
        done = [turned(part, self.get_buffer(axis)) for part, axis in zip(parts, self.over)]
        y = torch.cat([*done, parts[axes]], dim=-1).flatten(1, 3)
        y = torch.cat([rows[:, : self.extra], y], dim=1) if self.extra else y
        return y.flatten(2).mT.unflatten(2, x.shape[2:])


class Turns(Constants):
    """Cosines, then sines, of all axes at every position of a map.  (n, ...) -> (n, 2 axes channels, *size)"""

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        over: str = "thw",
        one_angle: bool = False,
        start: int = 0,
    ) -> None:
        super().__init__()
        parts = []
        with torch.device("cpu"):
            for axis in over:
                i = "thw".index(axis)
                table = turning(size[i], channels, one_angle, start)
                table = table.reshape(2, *[size[i] if j == i else 1 for j in range(3)], channels)
                parts.append(table.expand(-1, *size, -1))
            turns = torch.cat(parts, dim=-1).permute(0, 4, 1, 2, 3).flatten(0, 1)
        self.constant("turns", turns)

    def forward(self, x: Tensor) -> Tensor:
        return self.get_buffer("turns").to(x.dtype).expand(x.shape[0], -1, -1, -1, -1)


def turned_by(x: Tensor, turns: Tensor, heads: int, extra: int = 0) -> Tensor:
    """Neighbours among the first channels of every head turned as pairs; the rest, and tokens in front, stay."""
    rows = x.flatten(2).mT.unflatten(2, (heads, -1))
    cosines, sines = turns.detach().flatten(2).mT.unflatten(2, (2, 1, -1)).unbind(2)
    places = rows[:, extra:]
    part, rest = places.split([cosines.shape[-1], places.shape[-1] - cosines.shape[-1]], dim=-1)
    a, b = part.unflatten(-1, (-1, 2)).unbind(-1)
    y = torch.cat([part * cosines + torch.stack([-b, a], dim=-1).flatten(-2) * sines, rest], dim=-1)
    y = torch.cat([rows[:, :extra], y], dim=1) if extra else y
    return y.flatten(2).mT.unflatten(2, x.shape[2:])
