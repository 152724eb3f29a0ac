"""Detection in two steps, in torch. The source is put into the emitted file.

Constants are numbers in the calls: a tensor of them would be copied to a GPU in every forward.
"""

from __future__ import annotations

import torch
from torch import Tensor


def overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """(b, 4), (b, r, 4) -> (b, r): intersection over union, pixels counted from the first to the last."""
    box = box[:, None]
    first, last = torch.maximum(box[..., :2], boxes[..., :2]), torch.minimum(box[..., 2:], boxes[..., 2:])
    common = (last - first + 1).clamp(min=0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2] + 1).prod(-1) for one in (box, boxes)]
    return common / (areas[0] + areas[1] - common)


def suppressed(boxes: Tensor, scores: Tensor, alive: Tensor, overlap: float, count: int) -> tuple[Tensor, Tensor]:
    """(b, r, 4), (b, r), (b, r) -> (b, count, 4), (b, count): the best box, then the best not too close to it, ...

    Of boxes that overlap by more than `overlap` the best stays. Where none is left, zeros.
    """
    rows = torch.arange(len(boxes), device=boxes.device)
    chosen, given = [], []
    for _ in range(count):
        best = scores.masked_fill(~alive, float("-inf")).argmax(1)
        there = alive[rows, best]
        chosen.append(boxes[rows, best] * there[:, None])
        given.append(scores[rows, best] * there)
        alive = alive & ~(overlaps(boxes[rows, best], boxes) > overlap)
        alive[rows, best] = False
    return torch.stack(chosen, 1), torch.stack(given, 1)


def moved(anchors: Tensor, shifts: Tensor) -> Tensor:
    """(r, 4), (b, r, 4) -> (b, r, 4): centres moved in widths and heights, sides stretched by exp."""
    sides = anchors[:, 2:] - anchors[:, :2] + 1
    middles = anchors[:, :2] + (sides - 1) / 2 + shifts[..., :2] * sides
    half = (shifts[..., 2:].exp() * sides - 1) / 2
    return torch.cat([middles - half, middles + half], -1)


def propose(
    chances: Tensor,
    shifts: Tensor,
    clip: Tensor,
    anchors: list[tuple[float, float, float, float]],
    deviations: tuple[float, float, float, float],
    step: int,
    candidates: int,
    count: int,
    overlap: float,
    least: float,
) -> Tensor:
    """(n, a, t, h, w), (n, 4a, t, h, w), (n, c, t, H, W) -> (n, 5, t, count, 1): score and corners, best first."""
    n, a, t, h, w = chances.shape
    places = [torch.arange(size, device=chances.device) * step for size in (h, w)]
    y, x = torch.meshgrid(*places, indexing="ij")
    where = torch.stack([torch.stack([x + x1, y + y1, x + x2, y + y2], -1) for x1, y1, x2, y2 in anchors], 2)
    scores = chances.detach().float().permute(0, 2, 3, 4, 1).flatten(0, 1).flatten(1)
    by = shifts.detach().float().reshape(n, a, 4, t, h, w).permute(0, 3, 4, 5, 1, 2).flatten(0, 1).flatten(1, 3)
    by = torch.stack([part * times for part, times in zip(by.unbind(-1), deviations)], -1)
    height, width = clip.shape[3:]
    corners = zip(moved(where.reshape(-1, 4), by).unbind(-1), [width - 1, height - 1] * 2)
    boxes = torch.stack([corner.clamp(0, last) for corner, last in corners], -1)
    inside = ((y < height // step * step) & (x < width // step * step)).flatten().repeat_interleave(a)
    alive = inside & (boxes[..., 2:] - boxes[..., :2] + 1 >= least).all(-1)
    best = scores.masked_fill(~alive, float("-inf")).topk(min(candidates, scores.shape[1])).indices
    boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4))
    boxes, scores = suppressed(boxes, scores.gather(1, best), alive.gather(1, best), overlap, count)
    return torch.cat([scores[..., None], boxes], -1).reshape(n, t, count, 5).permute(0, 3, 1, 2)[..., None].to(chances)


def place_pool(x: Tensor, boxes: Tensor, size: int, step: int) -> Tensor:
    """(n, c size^2, t, h, w), boxes (n, 4, t, r, 1) -> (n, c, t, r, size^2). Sums of rectangles by running sums."""
    n, c, t, h, w = x.shape
    first = torch.floor(boxes[:, :2, :, :, 0].double() + 0.5) / step
    last = (torch.floor(boxes[:, 2:, :, :, 0].double() + 0.5) + 1) / step
    cell = (last - first).clamp(min=0.1) / size
    number = torch.arange(size, device=x.device)
    begin = torch.floor(first[..., None] + number * cell[..., None]).long().unbind(1)
    end = torch.ceil(first[..., None] + (number + 1) * cell[..., None]).long().unbind(1)
    sums = torch.nn.functional.pad(x.double().cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    sums = sums.reshape(n, c // size**2, size**2, t, -1).permute(0, 3, 1, 2, 4)

    def corner(rows: Tensor, columns: Tensor) -> Tensor:
        index = (rows[..., :, None] * (w + 1) + columns[..., None, :]).flatten(3).transpose(2, 3)
        return sums.gather(4, index[:, :, None].expand(-1, -1, sums.shape[2], -1, -1))

    (left, right), (top, bottom) = (
        (side[0].clamp(0, size), side[1].clamp(0, size)) for side, size in zip(zip(begin, end), (w, h))
    )
    total = corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left)
    area = ((bottom - top)[..., :, None] * (right - left)[..., None, :]).flatten(3).transpose(2, 3)[:, :, None]
    mean = total * (area > 0) / area.clamp(min=1)
    return mean.permute(0, 2, 1, 4, 3).to(x.dtype)
