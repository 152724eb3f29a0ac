"""Brightness of pixels."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue (ITU-R BT.601, as in PIL and OpenCV)."""


def luma(x: Tensor, axis: int) -> Tensor:
    """One channel of three along an axis, which must not be the last.  (..., 3, ...) -> (..., 1, ...)"""
    shares = torch.tensor(LUMA, dtype=x.dtype, device=x.device).view(3, *[1] * (x.ndim - axis - 1))
    return (x * shares).sum(axis, keepdim=True)
