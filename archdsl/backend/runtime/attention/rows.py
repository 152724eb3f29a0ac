"""Learnt tokens of each frame. The source is put into the emitted file, so it uses nothing but torch and nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LearntFrameTokens(nn.Module):
    """Learnt tokens in front of each frame's row.  (n, c, t, r, 1) -> (n, c, t, count + r, 1)"""

    def __init__(self, frames: int, count: int, channels: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(frames, count, channels))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.weight.to(x.dtype).permute(2, 0, 1)[None, ..., None].expand(x.shape[0], -1, -1, -1, -1)
        return torch.cat([tokens, x], dim=3)
