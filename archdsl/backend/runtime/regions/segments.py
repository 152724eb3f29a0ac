"""Consensus that torch lacks. Its source is put into the emitted file, so it uses nothing but torch and nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TimeWeights(nn.Module):
    """The sum over time, each frame by a learnt weight; it starts as the mean."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((frames, 1, 1), 1 / frames))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(2, keepdim=True)
