"""What works on each head of a map apart. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HeadConv(nn.Module):
    """A depthwise convolution of each head with the same weights: heads stay in the channels, weights are repeated."""

    def __init__(
        self,
        heads: int,
        channels: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        padding: tuple[int, int, int],
        dilation: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.heads, self.groups = heads, heads * channels
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.weight = nn.Parameter(torch.empty(channels, 1, *kernel))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.repeat(self.heads, 1, 1, 1, 1)
        return F.conv3d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)


class HeadNorm(nn.Module):
    """A layer norm of each head at each position, with the same scale and shift."""

    def __init__(self, heads: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.heads, self.channels, self.eps = heads, channels, eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2).mT.unflatten(2, (self.heads, -1))
        y = F.layer_norm(rows, (self.channels,), self.weight, self.bias, self.eps)
        return y.flatten(2).mT.unflatten(2, x.shape[2:])
