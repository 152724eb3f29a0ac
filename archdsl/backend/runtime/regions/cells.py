"""Cells of boxes, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_corners(place: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Neighbours of places along an axis, and their weights; places more than one element outside weigh 0."""
    inside = (place >= -1) & (place <= length)
    place = place.clamp(min=0).minimum(length - 1)
    low = place.floor()
    high = (low + 1).minimum(length - 1)
    share = place - low
    return low.long(), high.long(), (1 - share) * inside, share * inside


def region_align(
    boxes: Tensor,
    maps: list[Tensor],
    size: int,
    samples: int,
    steps: tuple[int, ...],
    sizes: tuple[tuple[int, int], ...],
) -> Tensor:
    """(n, 4, t, r, 1), (n, c, t, h, w)... -> (n, c, t r, size, size): each cell a weighted sum of rows of all maps."""
    n, c, t = maps[0].shape[:3]
    table = torch.cat([x.movedim(1, -1).flatten(2, 3) for x in maps], dim=2)
    firsts = [0]
    for height, width in sizes:
        firsts.append(firsts[-1] + height * width)
    corners = boxes.detach().to(torch.promote_types(boxes.dtype, torch.float32))[..., 0]
    x1, y1, x2, y2 = corners.nan_to_num().unbind(1)  # of weights that diverged: no index may be odd
    level = torch.floor(4 + torch.log2(((x2 - x1) * (y2 - y1)).clamp(min=1e-12).sqrt() / 224) + 1e-6)
    least = steps[0].bit_length() - 1
    level = (level - least).clamp(0, len(maps) - 1).long()
    step, h, w, first = (
        torch.tensor(values, device=boxes.device, dtype=x1.dtype)[level][..., None]
        for values in (steps, *zip(*sizes), firsts[:-1])
    )
    inner = (torch.arange(size * samples, device=boxes.device) + 0.5) / samples
    rows, columns = (
        sample_corners((a / s + inner.to(a) * ((b - a) / s).clamp(min=1) / size), length)
        for a, b, s, length in (
            (y1[..., None], y2[..., None], step, h),
            (x1[..., None], x2[..., None], step, w),
        )
    )
    index, weight = [], []
    for i in (0, 1):
        for j in (0, 1):
            at = rows[i][..., :, None] * w.long()[..., None] + columns[j][..., None, :]
            index.append(at + first.long()[..., None])
            weight.append(rows[2 + i][..., :, None] * columns[2 + j][..., None, :] / samples**2)
    both = [
        torch.stack(part, -1).unflatten(4, (size, samples)).unflatten(3, (size, samples)) for part in (index, weight)
    ]
    index, weight = (part.transpose(4, 5).flatten(5).flatten(2, 4) for part in both)
    line = torch.arange(n * t, device=boxes.device).reshape(n, t, 1, 1) * table.shape[2]
    cells = F.embedding_bag(
        (index + line).flatten(0, 2), table.flatten(0, 2), mode="sum", per_sample_weights=weight.flatten(0, 2).to(table)
    )
    return cells.reshape(n, -1, size, size, c).permute(0, 4, 1, 2, 3)


def largest_of_runs(x: Tensor, dim: int, doublings: int) -> Tensor:
    """The largest of 1, 2, 4, ... elements from each on, side by side in front.  (...) -> (k, ...)"""
    levels = [x]
    for k in range(doublings):
        levels.append(torch.maximum(levels[-1], levels[-1].roll(-(2**k), dim)))
    return torch.stack(levels)


def region_max_pool(boxes: Tensor, x: Tensor, size: int, step: int, doublings: tuple[int, int]) -> Tensor:
    """(n, 4, t, r, 1), (n, c, t, h, w) -> (n, c, t r, size, size): two runs along each axis cover a cell."""
    c, (h, w) = x.shape[1], x.shape[3:]
    corners = boxes.detach()[..., 0].double() / step
    corners = torch.where(corners < 0, -torch.floor(0.5 - corners), torch.floor(corners + 0.5))
    number = torch.arange(size, device=x.device)
    sides = []
    for low, high, length, most in ((1, 3, h, doublings[0]), (0, 2, w, doublings[1])):
        first = corners[:, low, ..., None]
        cell = (corners[:, high, ..., None] - first + 1).clamp(min=1) / size
        begin = (torch.floor(number * cell) + first).clamp(0, length).long()
        end = (torch.ceil((number + 1) * cell) + first).clamp(0, length).long()
        run = (end - begin).clamp(min=1)
        level = sum(((run >= 2**k).long() for k in range(1, most + 1)), torch.zeros_like(run))
        sides.append((begin.clamp(max=length - 1), (end - 2**level).clamp(min=0), level, end > begin))
    runs = largest_of_runs(
        largest_of_runs(x, 3, doublings[0]), 5, doublings[1]
    )  # (columns' runs, rows' runs, n, c, t, h, w)
    table = runs.permute(3, 2, 4, 0, 1, 5, 6).flatten(3)
    rows, columns = sides
    found = []
    for y in rows[:2]:
        for z in columns[:2]:
            at = columns[2][..., None, :] * runs.shape[1] + rows[2][..., :, None]
            at = (at * h + y[..., :, None]) * w + z[..., None, :]
            found.append(table.gather(3, at.flatten(2)[None].expand(c, -1, -1, -1)))
    there = (rows[3][..., :, None] & columns[3][..., None, :]).flatten(2)
    largest = torch.stack(found).amax(0).where(there, 0.0)
    return largest.unflatten(3, (-1, size, size)).transpose(0, 1).flatten(2, 3)
