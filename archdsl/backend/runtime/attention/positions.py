"""Tables of positions. The source of each is put into the emitted file, so it uses nothing but torch, nn and F."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.constants import Constants


class Positions(nn.Module):
    """Learnt tables, one over some of the axes t, h and w each; the first may have entries for tokens in front too.

    A single table may have `more` behind those that are used.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        over: tuple[str, ...] = ("thw",),
        extra: int = 0,
        tokens: bool = True,
        std: float = 0.02,
        more: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.over, self.extra, self.first = size, over, extra, extra if tokens else 0
        for i, axes in enumerate(over):
            count = 1
            for axis in axes:
                count *= size["thw".index(axis)]
            count += 0 if i else self.first
            table = nn.Parameter(std * torch.randn(count + more, channels))
            self.register_parameter(axes, table)
        self.used = count if more else None

    def entries(self) -> Tensor:
        """What is added to each position, tokens in front.  -> (extra + t h w, c)"""
        first = self.get_parameter(self.over[0])[: self.used]
        tokens, tables = first[: self.first], [first[self.first :], *map(self.get_parameter, self.over[1:])]
        parts = [
            table.unflatten(0, [n if axis in axes else 1 for axis, n in zip("thw", self.size)])
            for axes, table in zip(self.over, tables)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        table = total.expand(*self.size, -1).flatten(0, 2)
        if self.extra > self.first:
            tokens = table.new_zeros(self.extra, table.shape[1])
        return torch.cat([tokens, table]) if self.extra else table

    def forward(self, x: Tensor) -> Tensor:
        table = self.entries().to(x.dtype).mT
        if self.extra or any("t" in axes for axes in self.over):
            return x + table.reshape(-1, *x.shape[2:])
        _, h, w = self.size  # every frame gets the same, however many there are
        return x + table[:, : h * w].reshape(-1, 1, h, w)


def sines_at(places: Tensor, channels: int, halves: bool) -> Tensor:
    """Sines and cosines of positions, pair by pair or all sines first.  (count,) -> (count, channels)"""
    pairs = channels // 2
    rates = 10000 ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
    angles = places.double()[:, None] * rates
    both = torch.stack([angles.sin(), angles.cos()], dim=1 if halves else 2)
    return both.flatten(1).float()


class SinePositions(Constants):
    """Fixed sines and cosines, each of `over` in channels of its own; tokens in front get nothing."""

    def __init__(
        self,
        size: tuple[int, int, int],
        over: tuple[str, ...],
        widths: tuple[int, ...],
        extra: int = 0,
        halves: bool = False,
        counted: bool = False,
        circle: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.over, self.extra, parts = size, over, extra, []
        with torch.device("cpu"):
            for axes, channels in zip(over, widths):
                sizes = [n if axis in axes else 1 for axis, n in zip("thw", size)]
                count = sizes[0] * sizes[1] * sizes[2]
                places = torch.arange(count)
                places = 2 * math.pi * (places + 1) / (count + 1e-6) if circle else places
                rows = sines_at(places, channels, halves)
                parts.append(rows.unflatten(0, sizes).expand(*size, -1))
        table = torch.cat(parts, dim=-1).flatten(0, 2)
        if counted:
            self.table = nn.Parameter(table.to(torch.get_default_device()), requires_grad=False)
        else:
            self.constant("table", table)

    def forward(self, x: Tensor) -> Tensor:
        table = F.pad(self.table, (0, 0, self.extra, 0)) if self.extra else self.table
        table = table.to(x.dtype).mT
        if self.extra or any("t" in axes for axes in self.over):
            return x + table.reshape(-1, *x.shape[2:])
        _, h, w = self.size  # every frame gets the same, however many there are
        return x + table[:, : h * w].reshape(-1, 1, h, w)
