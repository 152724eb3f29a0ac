"""Norms that torch lacks. The source of each is put into the emitted file, so it uses nothing but torch and nn."""

from __future__ import annotations

import torch
from torch import nn


class ShiftNorm(nn.BatchNorm3d):
    """Batch norm with a learnt shift and no scale, as TensorFlow's Inception nets have it."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum, affine=False)
        self.bias = nn.Parameter(torch.zeros(num_features))
