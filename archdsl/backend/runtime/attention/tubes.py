"""Windows of several sizes as tokens. The source is put into the emitted file: it uses nothing but torch, nn and F."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.attention.positions import sines_at
from archdsl.backend.runtime.attention.tokens import token_rows
from archdsl.backend.runtime.constants import Constants


class Tubes(Constants):
    """Convolutions of several windows, with one kernel resized or one each, as one sequence of tokens.

    (n, c, t, h, w) -> (n, out_channels, 1, 1, tokens). `grids` are the tokens of each along (t, h, w), where positions
    are added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernels: tuple[tuple[int, int, int], ...],
        steps: tuple[tuple[int, int, int], ...],
        offsets: tuple[tuple[int, int, int], ...],
        tied: bool,
        grids: tuple[tuple[int, int, int], ...] = (),
    ) -> None:
        super().__init__()
        self.kernels, self.steps, self.offsets, self.tied = kernels, steps, offsets, tied
        for i, (t, h, w) in enumerate(kernels[:1] if tied else kernels):
            start = (in_channels * t * h * w) ** -0.5 * torch.randn(out_channels, in_channels, t, h, w)
            self.register_parameter("weight" if tied else f"weight_{i}", nn.Parameter(start))
        self.bias = nn.Parameter(torch.zeros(len(kernels), out_channels))
        self.grids, third, tables = grids, 2 * (out_channels // 6), []
        with torch.device("cpu"):
            for grid, *tube in zip(grids, kernels, steps, offsets):
                parts = []
                for axis, width in enumerate((out_channels - 2 * third, third, third)):
                    size, step, first = (numbers[axis] for numbers in tube)
                    places = torch.arange(grid[axis]) * step + first + size // 2
                    shape = [grid[axis] if i == axis else 1 for i in range(3)]
                    parts.append(sines_at(places, width, True).unflatten(0, shape).expand(*grid, -1))
                tables.append(torch.cat(parts, dim=-1).flatten(0, 2))
        if tables:
            self.constant("table", torch.cat(tables))

    def kernel(self, i: int) -> Tensor:
        """That of tube i; of one for all, the first one's resized."""
        weight = self.get_parameter("weight" if self.tied else f"weight_{i}")
        return F.interpolate(weight, self.kernels[i], mode="trilinear") if self.tied and i else weight

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for i, ((t, h, w), step) in enumerate(zip(self.offsets, self.steps)):
            rows.append(token_rows(F.conv3d(x[:, :, t:, h:, w:], self.kernel(i), self.bias[i], step)))
        y = torch.cat(rows, dim=1)
        return (y + self.get_buffer("table").to(y.dtype) if self.grids else y).mT[:, :, None, None]
