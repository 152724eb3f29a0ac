"""Norms that torch lacks. The source of each is put into the emitted file, so it uses nothing but torch and nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ShiftNorm(nn.BatchNorm3d):
    """Batch norm with a learnt shift and no scale, as TensorFlow's Inception nets have it."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum, affine=False)
        self.bias = nn.Parameter(torch.zeros(num_features))


class FrozenNorm(nn.Module):
    """A batch norm of buffers alone: (x - mean) / sqrt(variance + eps) * scale + shift."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, start in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, mean, variance = (part.to(x.dtype) for part in self.buffers())
        scale = weight * (variance + self.eps).rsqrt()
        return x * scale[:, None, None, None] + (bias - mean * scale)[:, None, None, None]
