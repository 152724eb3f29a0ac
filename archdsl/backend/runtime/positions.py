"""Tables of positions. The source of each is put into the emitted file, so it uses nothing but torch, nn and F."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Positions(nn.Module):
    """Learnt tables, one over some of the axes t, h and w each; the first may have entries for tokens in front too."""

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        over: tuple[str, ...] = ("thw",),
        extra: int = 0,
        tokens: bool = True,
        std: float = 0.02,
    ) -> None:
        super().__init__()
        self.size, self.over, self.extra, self.first = size, over, extra, extra if tokens else 0
        for i, axes in enumerate(over):
            count = 1
            for axis in axes:
                count *= size["thw".index(axis)]
            table = nn.Parameter(std * torch.randn(count + (0 if i else self.first), channels))
            self.register_parameter(axes, table)

    def entries(self) -> Tensor:
        """What is added to each position, tokens in front.  -> (extra + t h w, c)"""
        first = self.get_parameter(self.over[0])
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
        return x + self.entries().to(x.dtype).mT.reshape(-1, *x.shape[2:])


class SinePositions(nn.Module):
    """Sines and cosines of an element's number, in channels of even and odd number, added to a map."""

    table: Tensor

    def __init__(self, channels: int, size: tuple[int, int, int]) -> None:
        super().__init__()
        numbers = torch.arange(size[0] * size[1] * size[2], dtype=torch.float64)
        channel = torch.arange(channels)
        angles = numbers / 10000 ** (channel.div(2, rounding_mode="floor") * 2 / channels).to(torch.float64)[:, None]
        table = torch.where((channel % 2 == 0)[:, None], angles.sin(), angles.cos())
        self.register_buffer("table", table.view(channels, *size).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table.to(x.dtype)
