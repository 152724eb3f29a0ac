"""Tokens beside a map; in memory the channels of each lie together. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def token_rows(x: Tensor) -> Tensor:
    """A row for each position.  (n, c, t, h, w) -> (n, t h w, c)"""
    return x.flatten(2).mT


class LearntTokens(nn.Module):
    """Learnt tokens in front of all positions.  (n, c, t, h, w) -> (n, c, 1, 1, count + t h w)"""

    def __init__(self, count: int, channels: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(count, channels))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.weight.to(x.dtype).expand(x.shape[0], -1, -1)
        return torch.cat([tokens, token_rows(x)], dim=1).mT[:, :, None, None]


class Queries(nn.Module):
    """Learnt tokens for every clip of a batch.  (n, ...) -> (n, c, 1, 1, count)"""

    def __init__(self, count: int, channels: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(count, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.to(x.dtype).repeat(x.shape[0], 1, 1).mT[:, :, None, None]


class SoftmaxPool(nn.Module):
    """All positions weighted by the softmax of a learnt score.  (n, c, t, h, w) -> (n, c, 1, 1, 1)"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(channels**-0.5 * torch.randn(1, channels))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        rows = token_rows(x)
        scores = (rows * self.weight).sum(dim=2, keepdim=True) + self.bias
        return (rows * scores.softmax(dim=1)).sum(dim=1)[:, :, None, None, None]


def join_tokens(tokens: Tensor, x: Tensor) -> Tensor:
    """(n, c, 1, 1, k), (n, c, t, h, w) -> (n, c, 1, 1, k + t h w)"""
    return torch.cat([token_rows(tokens), token_rows(x)], dim=1).mT[:, :, None, None]


def rows_by_frame(x: Tensor, frames: int, tokens: int) -> Tensor:
    """Each frame a row, with copies of the tokens in front.  (n, c, 1, 1, k + t h w) -> (n, c, t, k + h w, 1)"""
    rows = token_rows(x)
    copies = rows[:, None, :tokens].expand(-1, frames, -1, -1)
    return torch.cat([copies, rows[:, tokens:].unflatten(1, (frames, -1))], dim=2).permute(0, 3, 1, 2)[..., None]


def from_frame_rows(x: Tensor, tokens: int) -> Tensor:
    """Rows as a map, of a token's copies the mean over frames.  (n, c, t, k + h w, 1) -> (n, c, 1, 1, k + t h w)"""
    rows = x[..., 0].permute(0, 2, 3, 1)
    means = rows[:, :, :tokens].mean(dim=1)
    return torch.cat([means, *rows[:, :, tokens:].unbind(1)], dim=1).mT[:, :, None, None]
