"""Segments of interest in plain torch. The source is put into the emitted file, so it uses nothing but torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def anchored(x: Tensor, scales: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(n, 4 k, t, 1, 1) -> scores (n, k t), and starts and ends (n, 2, k t); what has no length scores -infinity."""
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))  # half precision cannot count to a long map's end
    nothing, action, shift, growth = torch.unflatten(x.flatten(2), 1, (-1, 4)).unbind(2)
    length = torch.tensor(scales, dtype=x.dtype, device=x.device)[:, None]
    middle = torch.arange(x.shape[2], dtype=x.dtype, device=x.device) + 0.5 + length * shift
    half = length * growth.exp() / 2
    segments = torch.stack([middle - half, middle + half], dim=1).clamp(0, x.shape[2]).flatten(2)
    score = (action - nothing).flatten(1)
    return score.masked_fill(segments[:, 1] <= segments[:, 0], float("-inf")), segments


def without_doubles(score: Tensor, segments: Tensor, top: int, overlap: float) -> Tensor:
    """The best segment, then the best of those that do not overlap one before it too much: (n, 2, top)."""
    starts, ends = segments.unbind(1)
    kept = []
    for _ in range(top):
        highest, best = score.max(dim=1, keepdim=True)
        start, end = starts.gather(1, best), ends.gather(1, best)
        kept.append(torch.stack([start, end], dim=1).where(highest[:, None] > float("-inf"), 0.0))
        common = torch.minimum(ends, end) - torch.maximum(starts, start)
        union = (ends - starts) + (end - start) - common.clamp_min(0)
        score = score.masked_fill(common > overlap * union, float("-inf")).scatter(1, best, float("-inf"))
    return torch.cat(kept, dim=2)


def segment_proposals(x: Tensor, scales: tuple[int, ...], top: int, overlap: float) -> Tensor:
    """(n, 4 k, t, 1, 1) -> (n, 2, top, 1, 1), starts and ends in order of their scores."""
    return without_doubles(*anchored(x, scales), top, overlap)[..., None, None]


def soi_pool(x: Tensor, segments: Tensor, bins: int, extend: float, doublings: int) -> Tensor:
    """(n, c, t, 1, 1), segments (n, 2, r, 1, 1) -> (n, c, r, bins, 1): the largest element that each part touches.

    The largest of 1, 2, 4, ... 2 ** doublings elements from each position on are worked out once: two cover any part.
    """
    t = x.shape[2]
    start, end = segments.detach().flatten(2).unbind(1)
    more = extend * (end - start)
    first, last = (start - more).clamp(0, t), (end + more).clamp(0, t)
    edges = first[..., None] + (last - first)[..., None] * torch.arange(bins + 1, device=x.device) / bins
    low = edges[..., :-1].floor().long().clamp(max=t - 1)
    high = torch.maximum(edges[..., 1:].ceil().long().clamp(max=t), low + 1)  # rounded edges may pass the end
    levels = [x.flatten(2)]
    for k in range(doublings):
        levels.append(torch.maximum(levels[k], F.pad(levels[k][..., 2**k :], (0, 2**k), value=float("-inf"))))
    lengths = 2 ** torch.arange(len(levels), device=x.device)
    level = ((high - low)[..., None] >= lengths).sum(-1) - 1
    table = torch.cat(levels, dim=2)
    sides = [(level * t + place).flatten(1)[:, None] for place in (low, high - 2**level)]
    left, right = (table.gather(2, side.expand(-1, x.shape[1], -1)) for side in sides)
    largest = torch.unflatten(torch.maximum(left, right), 2, (-1, bins))
    return largest.where((last > first)[:, None, :, None], 0.0)[..., None]
