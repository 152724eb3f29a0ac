"""What a detector says of a frame: proposals moved, and of boxes of a class that overlap the best one kept."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.training.evaluation.average_precision import box_overlaps


class FoundBoxes(NamedTuple):
    """The boxes of a frame, in pixels, corners at edges of pixels; the best first."""

    boxes: Tensor
    """(n, 4)"""
    labels: Tensor
    """(n,)"""
    scores: Tensor
    """(n,)"""


def moved_boxes(boxes: Tensor, shifts: Tensor) -> Tensor:
    """Boxes moved and stretched; corners are the first and the last pixel.  (n, 4), (n, 4) -> (n, 4)"""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    middles = boxes[:, :2] + (sides - 1) / 2 + shifts[:, :2] * sides
    half = (shifts[:, 2:].exp() * sides - 1) / 2
    return torch.cat([middles - half, middles + half], dim=1)


def suppress(boxes: Tensor, scores: Tensor, overlap: float, pixel: float = 0.0) -> Tensor:
    """The places of boxes that stay, the best first: none overlaps a better one by more.  (n, 4), (n,)"""
    order = scores.argsort(descending=True, stable=True)
    close = box_overlaps(boxes[order], boxes[order], pixel) > overlap
    stays = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for i in range(len(order)):
        if stays[i]:
            stays[i + 1 :] &= ~close[i, i + 1 :]
    return order[stays]


def found_boxes(
    boxes: Tensor, chances: Tensor, size: tuple[int, int], *, least: float, overlap: float, most: int
) -> FoundBoxes:
    """Boxes of every class but the background, of a frame of (height, width): suppressed by class, at most so many.

    boxes (r, 4), or (classes, r, 4) where each class has its own, first and last pixels; chances (classes, r)
    """
    height, width = size
    limits = boxes.new_tensor([width - 1, height - 1] * 2)
    boxes = torch.minimum(boxes.clamp(min=0), limits).expand(len(chances), -1, -1)
    parts = []
    for label, scores in enumerate(chances[1:], 1):
        places = (scores > least).nonzero()[:, 0]
        places = places[suppress(boxes[label][places], scores[places], overlap, 1)]
        parts.append(FoundBoxes(boxes[label][places], torch.full_like(places, label), scores[places]))
    found = FoundBoxes(*map(torch.cat, zip(*parts)))
    best = found.scores.argsort(descending=True, stable=True)[:most]
    edges = found.boxes[best] + boxes.new_tensor([0, 0, 1, 1])
    return FoundBoxes(edges, found.labels[best], found.scores[best])
