"""RoIAlign in plain torch. The source is put into the emitted file, so it uses nothing but torch."""

from __future__ import annotations

import torch
from torch import Tensor


def sampled(x: Tensor, first: Tensor, last: Tensor, size: int) -> Tensor:
    """(n, c, k, length, m) -> (n, c, k, size, m): means of linear samples between `first` and `last`, both (n, k).

    Each of `size` cells has ceil((last - first) / size) samples, evenly spaced; a stretch longer than x has as many as
    one of its length, and an empty one gives 0. Samples more than one element outside of x count as 0.
    """
    length = x.shape[3]
    most = length // size + 1
    step = (last - first) / size
    count = torch.ceil(step).clamp(0, most)
    cell = torch.arange(size, device=x.device, dtype=first.dtype)
    inner = torch.arange(most, device=x.device, dtype=first.dtype)
    offset = (inner + 0.5) / count.clamp(min=1)[..., None]
    place = first[..., None, None] + (cell[:, None] + offset[:, :, None]) * step[..., None, None]
    counted = (inner < count[..., None])[:, :, None] & (place >= -1) & (place <= length)
    share = counted / count.clamp(min=1)[..., None, None]
    place = place.clamp(0, length - 1)
    low = place.floor()
    high = (low + 1).clamp(max=length - 1)
    weights = torch.stack([(1 - (place - low)) * share, (place - low) * share]).to(x.dtype)
    c, m = x.shape[1], x.shape[4]
    picked = torch.stack([low, high]).long().flatten(3)[:, :, None, :, :, None].expand(-1, -1, c, -1, -1, m)
    parts = [x.gather(3, index) * weight.flatten(2)[:, None, :, :, None] for index, weight in zip(picked, weights)]
    return (parts[0] + parts[1]).unflatten(3, (size, most)).sum(4)


def roi_align(x: Tensor, boxes: Tensor, size: int, step: float, aligned: bool) -> Tensor:
    """(n, c, 1, h, w), boxes (n, 4, r, 1, 1) in pixels -> (n, c, r, size, size). Rows first, then columns."""
    x1, y1, x2, y2 = (boxes.flatten(2) / step - (0.5 if aligned else 0.0)).unbind(1)
    if not aligned:
        x2, y2 = torch.maximum(x2, x1 + 1), torch.maximum(y2, y1 + 1)
    rows = sampled(x.expand(-1, -1, boxes.shape[2], -1, -1), y1, y2, size)
    return sampled(rows.transpose(3, 4), x1, x2, size).transpose(3, 4)
