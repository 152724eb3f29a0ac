"""Learnt numbers that scale, in torch. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gain(nn.Module):
    """A learnt number times the map."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start]))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.to(x.dtype) * x


class LayerScale(nn.Module):
    """Each channel times a learnt number."""

    def __init__(self, channels: int, start: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.to(x.dtype)[:, None, None, None] * x


class LearntMix(nn.Module):
    """A learnt share of each channel of y and the rest of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        share = self.weight.to(x.dtype).sigmoid().view(-1, 1, 1, 1)
        return (1 - share) * x + share * y
