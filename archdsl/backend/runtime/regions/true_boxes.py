"""True boxes among proposals, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor


def among_true_boxes(proposals: Tensor, true: Tensor) -> Tensor:
    """(n, k, t, r, 1), (n, 4, t, r, 1) -> (n, k, t, r, 1): true boxes first, the last proposals left out."""
    there = (true != 0).any(1, keepdim=True)
    likely = there.expand(-1, proposals.shape[1] - 4, -1, -1, -1).to(proposals)
    rows = torch.cat([torch.cat([likely, true.to(proposals)], 1), proposals], 3)
    absent = (rows[:, -4:] == 0).all(1, keepdim=True)
    order = absent.int().argsort(dim=3, stable=True)[:, :, :, : true.shape[3]]
    return rows.gather(3, order.expand(-1, rows.shape[1], -1, -1, -1))
