"""Gates over the map they scale. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor


def scaled(x: Tensor, gate: Tensor) -> Tensor:
    """The product; without gradients it lies where x lay."""
    return x * gate if torch.is_grad_enabled() else x.mul_(gate)
