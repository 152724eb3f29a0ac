"""A learnt number, in torch. The source is put into the emitted file."""

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
