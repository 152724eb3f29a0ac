"""Joins that torch lacks. The source of each is put into the emitted file, so it uses nothing but torch and nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MeanJoin(nn.Module):
    """The mean of several maps; in training each is left out with probability `drop`, but never all."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, *maps: Tensor) -> Tensor:
        if not self.training or not self.drop:
            return torch.stack(maps).mean(0)
        luck = torch.rand(len(maps), device=maps[0].device)
        kept = ((luck >= self.drop) | (luck == luck.max())).to(maps[0].dtype)
        share = kept / kept.sum()
        return (torch.stack(maps) * share.view(-1, *[1] * maps[0].ndim)).sum(0)


class Coin(nn.Module):
    """1; in training 0 with probability p, one for the whole batch."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ones(x.shape[0], 1, 1, 1, 1, device=x.device, dtype=x.dtype)
        if not self.training or not self.p:
            return one
        return one * (torch.rand((), device=x.device) >= self.p)


class DropPath(nn.Module):
    """In training the map of each clip is dropped with probability p, else scaled up so that its mean stays."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * (kept.to(x.dtype) / (1 - self.p))
