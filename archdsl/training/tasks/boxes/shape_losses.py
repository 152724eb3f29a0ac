"""Masks and key points of boxes: Mask R-CNN's losses (arXiv:1703.06870), and how they are put back into a frame."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


def mask_loss(said: Tensor, boxes: Tensor, found: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy on the map of the true class, the mean over boxes that hold a thing and their elements.

    said (r, classes, s, s), boxes (r, 4), found (r,) the thing in each or below 0, masks (g, h, w), labels (g,) -> ()
    """
    things = (found >= 0).nonzero()[:, 0]
    if not len(things):
        return 0.0 * said.sum()
    true = found[things]
    wanted = torch.stack([cut_mask(masks[i], box, said.shape[2]) for i, box in zip(true.tolist(), boxes[things])])
    return binary_cross_entropy_with_logits(said[things, labels[true]], wanted.to(said))


def cut_mask(mask: Tensor, box: Tensor, side: int) -> Tensor:
    """What of a mask lies in a box, as a share of each of its cells.  (h, w), (4,) -> (side, side)"""
    x1, y1, x2, y2 = box.tolist()
    rows, columns = (
        cell_shares(low, high, side, many, mask.device)
        for low, high, many in ((y1, y2, mask.shape[0]), (x1, x2, mask.shape[1]))
    )
    return rows @ mask.float() @ columns.T


def cell_shares(low: float, high: float, side: int, pixels: int, device: torch.device) -> Tensor:
    """How much of each of `side` cells from `low` to `high` each pixel covers.  (side, pixels)"""
    step = max(high - low, 1e-6) / side
    first, pixel = low + torch.arange(side, device=device)[:, None] * step, torch.arange(pixels, device=device)
    return ((pixel + 1).minimum(first + step) - pixel.maximum(first)).clamp(min=0) / step


def point_loss(said: Tensor, boxes: Tensor, found: Tensor, points: Tensor) -> Tensor:
    """Cross-entropy over the elements of a box's map, the mean over known points within boxes that hold a thing.

    said (r, k, s, s), boxes (r, 4), found (r,) the thing in each, below 0 none, points (g, k, 3) -> ()
    """
    things = (found >= 0).nonzero()[:, 0]
    if not len(things):
        return 0.0 * said.sum()
    wanted = point_elements(points[found[things]], boxes[things], said.shape[3])
    known = (wanted >= 0).sum().clamp(min=1)
    scores = said[things].flatten(2).flatten(0, 1)
    return cross_entropy(scores, wanted.flatten(), ignore_index=-1, reduction="sum") / known


def point_elements(points: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Of each point the element of a box's map that it lies in; -1 where it is not known or outside.

    (r, k, 3), (r, 4) -> (r, k)
    """
    first, last = boxes[:, None, :2], boxes[:, None, 2:]
    places = ((points[..., :2] - first) * side / (last - first).clamp(min=1e-6)).floor()
    places = torch.where(points[..., :2] == last, side - 1.0, places).long()  # on the last edge: within
    inside = ((places >= 0) & (places < side)).all(2) & (points[..., 2] > 0)
    return torch.where(inside, places[..., 1] * side + places[..., 0], -1)


def whole_masks(chances: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks of boxes in the frame: where the chance, between elements in a line, is a half or more.

    (n, s, s), (n, 4) -> (n, h, w) of bool
    """
    found = torch.zeros(len(boxes), *size, dtype=torch.bool)
    side = chances.shape[1]
    for one, chance, (x1, y1, x2, y2) in zip(found, chances, boxes.tolist()):
        rows, columns = (
            ((torch.arange(many) + 0.5 - low) / max(high - low, 1e-6) * side - 0.5, (low, high))
            for many, low, high in ((size[0], y1, y2), (size[1], x1, x2))
        )
        along = [line_weights(at, side) for at, _ in (rows, columns)]
        one[:] = along[0] @ chance @ along[1].T >= 0.5
    return found


def line_weights(at: Tensor, side: int) -> Tensor:
    """How much each of `side` elements counts at places between them; beyond the outer ones less.  (n,) -> (n, side)"""
    return (1 - (at[:, None] - torch.arange(side)).abs()).clamp(min=0)


def mask_overlaps(found: Tensor, true: Tensor, crowd: Tensor) -> Tensor:
    """Common pixels over those of both; of a crowd over the found one's.  (n, h, w), (g, h, w) -> (n, g)"""
    some, others = found.flatten(1).float(), true.flatten(1).float()
    common, areas = some @ others.T, some.sum(1, keepdim=True)
    return common / torch.where(crowd, areas, areas + others.sum(1) - common).clamp(min=1)


def places_in_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """Of each map the middle of its largest element, in pixels, and its score.  (n, k, s, s), (n, 4) -> (n, k, 3)"""
    side = maps.shape[3]
    scores, best = maps.flatten(2).max(2)
    cells = torch.stack([best % side, best // side], dim=2) + 0.5
    first, last = boxes[:, None, :2], boxes[:, None, 2:]
    return torch.cat([first + cells * (last - first) / side, scores[..., None]], dim=2)


COCO_SPREADS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""How far annotators lie apart on each of COCO's 17 points, in the root of a person's area."""
SPREAD = 0.05
"""Of points that are not COCO's; our own."""


def point_likeness(found: Tensor, true: Tensor, boxes: Tensor) -> Tensor:
    """COCO's object key point similarity, with the area of the true box for that of the person.

    (n, k, 3), (g, k, 3), (g, 4) -> (n, g)
    """
    many = true.shape[1]
    spreads = torch.tensor(COCO_SPREADS) if many == len(COCO_SPREADS) else torch.full((many,), SPREAD)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1e-6)
    off = (found[:, None, :, :2] - true[None, ..., :2]).square().sum(3)
    near = (-off / (2 * areas[:, None] * (2 * spreads) ** 2)).exp()
    known = (true[..., 2] > 0).float()
    return (near * known).sum(2) / known.sum(1).clamp(min=1)
