"""Local correlation in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def local_correlation(x: Tensor, y: Tensor, reach: int, step: int) -> Tensor:
    """(n, c, t, h, w) twice -> (n, k^2, t, h, w): each element by those of y around it, row by row of displacements."""
    h, w = x.shape[3:]
    around = F.pad(y, (reach, reach, reach, reach))
    moves = range(0, 2 * reach + 1, step)
    return torch.stack([(x * around[..., a : a + h, b : b + w]).mean(1) for a in moves for b in moves], dim=1)
