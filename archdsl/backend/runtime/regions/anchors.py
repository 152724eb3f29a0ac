"""Anchors, the boxes that they become, and the best of these. The source is put into the emitted file."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archdsl.backend.runtime.constants import Constants


def anchor_rows(maps: list[Tensor], channels: int) -> Tensor:
    """(n, a channels, t, h, w)... -> (n, channels, t, rows, 1): map by map, along h, w and anchors."""
    rows = [x.unflatten(1, (-1, channels)).permute(0, 2, 3, 4, 5, 1).flatten(3) for x in maps]
    return (rows[0] if len(rows) == 1 else torch.cat(rows, dim=3))[..., None]


def anchor_boxes(
    sides: tuple[tuple[tuple[float, float], ...], ...],
    sizes: tuple[tuple[int, int], ...],
    steps: tuple[tuple[float, float], ...],
    offset: float,
) -> Tensor:
    """(4, rows): corners around every element of every map."""
    rows = []
    for widths, (h, w), (down, along) in zip(sides, sizes, steps):
        y, x = torch.meshgrid((torch.arange(h) + offset) * down, (torch.arange(w) + offset) * along, indexing="ij")
        half = torch.tensor(widths) / 2
        middle, reach = torch.stack([x, y]), torch.stack([half[:, 0], half[:, 1]])
        corners = [middle[..., None] + sign * reach[:, None, None] for sign in (-1, 1)]
        rows.append(torch.cat(corners).flatten(1))
    return torch.cat(rows, dim=1)


class Anchors(Constants):
    """Corners of anchors, for every clip and frame of what is read."""

    anchors: Tensor

    def __init__(
        self,
        sides: tuple[tuple[tuple[float, float], ...], ...],
        sizes: tuple[tuple[int, int], ...],
        steps: tuple[tuple[float, float], ...],
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        with torch.device("cpu"):
            boxes = anchor_boxes(sides, sizes, steps, offset)
        self.constant("anchors", boxes)

    def forward(self, x: Tensor) -> Tensor:
        return self.anchors.to(x.dtype)[None, :, None, :, None].expand(x.shape[0], -1, x.shape[2], -1, -1)


def shifted_boxes(
    shifts: Tensor,
    boxes: Tensor,
    deviations: tuple[float, float, float, float],
    stretch: float | None,
    size: tuple[int, int] | None,
) -> Tensor:
    """(n, 4k, t, r, 1), (n, 4, t, r, 1) -> (n, 4k, t, r, 1): centres moved, sides stretched, cut to (height, width)."""
    x1, y1, x2, y2 = boxes.detach().to(torch.promote_types(boxes.dtype, torch.float32)).unbind(1)
    x, y, w, h = (part * by for part, by in zip(shifts.unflatten(1, (-1, 4)).unbind(2), deviations))
    sides = [(x2 - x1)[:, None], (y2 - y1)[:, None]]
    if stretch is not None:
        w, h = w.clamp(max=math.log(stretch)), h.clamp(max=math.log(stretch))
    middle = [x * sides[0] + x1[:, None] + sides[0] / 2, y * sides[1] + y1[:, None] + sides[1] / 2]
    half = [w.exp() * sides[0] / 2, h.exp() * sides[1] / 2]
    corners = [m + sign * r for sign in (-1, 1) for m, r in zip(middle, half)]
    if size is not None:
        corners = [corner.clamp(0, size[1 - i % 2]) for i, corner in enumerate(corners)]
    return torch.stack(corners, dim=2).flatten(1, 2)


def cell_boxes(shifts: Tensor, boxes: Tensor, rows: tuple[int, ...], steps: tuple[float, ...]) -> Tensor:
    """(n, 4, t, r, 1) twice -> (n, 4, t, r, 1): centres within cells, sides stretched."""
    x1, y1, x2, y2 = boxes.detach().unbind(1)
    step = torch.cat([x1.new_full((count, 1), one) for count, one in zip(rows, steps)])
    x, y, w, h = shifts.unbind(1)
    middle = [(low + high) / 2 + (torch.sigmoid(z) - 0.5) * step for z, low, high in ((x, x1, x2), (y, y1, y2))]
    half = [w.exp() * (x2 - x1) / 2, h.exp() * (y2 - y1) / 2]
    return torch.stack([m + sign * r for sign in (-1, 1) for m, r in zip(middle, half)], dim=1)


def shared_parts(box: Tensor, boxes: Tensor) -> Tensor:
    """(b, 4), (b, r, 4) -> (b, r): intersection over union."""
    box = box[:, None]
    first, last = torch.maximum(box[..., :2], boxes[..., :2]), torch.minimum(box[..., 2:], boxes[..., 2:])
    common = (last - first).clamp(min=0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).prod(-1) for one in (box, boxes)]
    return common / (areas[0] + areas[1] - common).clamp(min=1e-12)


def candidates_of(
    scores: Tensor, boxes: Tensor, maps: Tensor, most: int | None, per: str, rows: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(b, k, r), (b, k, r, 4), (r,) -> scores, classes, maps (b, m) and boxes (b, m, 4) of the best of each part."""
    b, k, r = scores.shape
    classes = torch.arange(k, device=scores.device)[:, None].expand(k, r)
    places = torch.arange(k * r, device=scores.device).reshape(k, r)
    if most is not None and per == "class":
        chosen = scores.topk(min(most, r), dim=2).indices + places[:, :1]
        chosen = chosen.flatten(1)
    elif most is not None:
        parts = zip(scores.split(rows, dim=2), places.split(rows, dim=1))
        chosen = torch.cat(
            [at.flatten()[x.flatten(1).topk(min(most, x[0].numel()), dim=1).indices] for x, at in parts], dim=1
        )
    else:
        chosen = places.flatten().expand(b, -1)
    found = boxes.flatten(1, 2).gather(1, chosen[..., None].expand(-1, -1, 4))
    return scores.flatten(1).gather(1, chosen), classes.flatten()[chosen], maps[chosen % r], found


def best_boxes(
    chances: Tensor,
    boxes: Tensor,
    rows: tuple[int, ...],
    count: int,
    overlap: float,
    above: float,
    least: float,
    most: int | None,
    per: str,
    apart: str,
    background: bool,
) -> Tensor:
    """(n, k, t, r, 1), (n, 4 or 4k, t, r, 1) -> (n, 6, t, count, 1): class, chance, corners; the best one, then ..."""
    n, k, t, r, _ = chances.shape
    if chances.is_meta:
        return chances.new_empty(n, 6, t, count, 1)
    scores = chances.detach().float().transpose(1, 2).reshape(n * t, k, r)
    corners = boxes.detach().float().unflatten(1, (-1, 4)).permute(0, 3, 1, 4, 2, 5).reshape(n * t, -1, r, 4)
    corners = corners.expand(-1, k, -1, -1)
    if background:
        scores, corners = scores[:, 1:], corners[:, 1:]
    alive = (scores > above) & (corners[..., 2:] - corners[..., :2] >= least).all(-1)
    scores = scores.masked_fill(~alive, float("-inf"))
    maps = torch.cat([torch.full((size,), i, device=scores.device) for i, size in enumerate(rows)])
    scores, classes, maps, corners = candidates_of(scores, corners, maps, most, per, rows)
    groups = classes if apart == "class" else maps
    line, given = torch.arange(n * t, device=scores.device), []
    for _ in range(count):
        best = scores.argmax(1)
        score, box, group = scores[line, best], corners[line, best], groups[line, best]
        there = score > float("-inf")
        said = torch.stack([classes[line, best] + background, score.masked_fill(~there, 0.0)], -1)
        given.append(torch.cat([said, box], -1) * there[:, None])
        near = (shared_parts(box, corners) > overlap) & (groups == group[:, None])
        scores = scores.masked_fill(near, float("-inf"))
        scores = scores.scatter(1, best[:, None], float("-inf"))
    return torch.stack(given, 1).reshape(n, t, count, 6).permute(0, 3, 1, 2)[..., None].to(chances)
