"""Brightness of pixels."""

from __future__ import annotations

from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue (ITU-R BT.601, as in PIL and OpenCV)."""


def luma(x: Tensor, axis: int) -> Tensor:
    """One channel of three along an axis.  (..., 3, ...) -> (..., 1, ...)"""
    red, green, blue = (x.narrow(axis, i, 1) * share for i, share in enumerate(LUMA))
    return red + green + blue
