"""Average precision of boxes: what counts as found differs by benchmark, the area below the curve does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

AVA_OVERLAP = 0.5
AVA_ROWS = 50
"""Rows of a key frame that the official evaluation reads: the best boxes and classes together."""


def box_overlaps(boxes: Tensor, others: Tensor, pixel: float = 0.0) -> Tensor:
    """Intersection over union; `pixel` is 1 where corners are the first and the last pixel.

    (n, 4), (m, 4) -> (n, m)
    """
    first, last = torch.maximum(boxes[:, None, :2], others[:, :2]), torch.minimum(boxes[:, None, 2:], others[:, 2:])
    common = (last - first + pixel).clamp(min=0).prod(2)
    areas = [(one[:, 2:] - one[:, :2] + pixel).prod(1) for one in (boxes, others)]
    union = areas[0][:, None] + areas[1] - common
    return torch.where(union > 0, common / union, 0.0)


def average_precision(hits: Tensor, scores: Tensor, positives: int) -> float:
    """The area below the largest precision at each recall or more; NaN where nothing is to be found.  (n,), (n,)"""
    if not positives:
        return float("nan")
    found = hits[scores.argsort(descending=True, stable=True)].double()
    precision = found.cumsum(0) / torch.arange(1, len(found) + 1, dtype=torch.float64)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return float((envelope * found).sum() / positives)


class FrameActions(NamedTuple):
    """A key frame: its true boxes and what each does, the boxes that were read and the score of each class."""

    true_boxes: Tensor
    """(t, 4)"""
    true_labels: Tensor
    """(t, classes) of 0 and 1"""
    boxes: Tensor
    """(n, 4)"""
    scores: Tensor
    """(n, classes)"""


def action_precisions(frames: Sequence[FrameActions], classes: Sequence[int]) -> dict[int, float]:
    """Average precision of each class over all key frames, as the official evaluation of AVA counts it.

    Of each key frame the best 50 pairs of a box and a class are read. A box is right where it overlaps that true box
    of the class that it overlaps most by at least a half, and no better one did. In key frames where nobody does it
    every box is wrong.
    """
    hits: dict[int, list[Tensor]] = {one: [] for one in classes}
    scores: dict[int, list[Tensor]] = {one: [] for one in classes}
    counts = dict.fromkeys(classes, 0)
    picked = torch.tensor(classes)
    for frame in frames:
        rows = frame.scores[:, picked]
        best = rows.flatten().argsort(descending=True, stable=True)[:AVA_ROWS]
        read = torch.zeros(rows.numel(), dtype=torch.bool)
        read[best] = True
        sized = (frame.boxes[:, 2:] > frame.boxes[:, :2]).all(1)
        for column, one in enumerate(classes):
            true = frame.true_boxes[frame.true_labels[:, one] > 0]
            mine = read.view_as(rows)[:, column] & sized
            order = rows[mine, column].argsort(descending=True, stable=True)
            counts[one] += len(true)
            scores[one].append(rows[mine, column][order])
            hits[one].append(hits_of(frame.boxes[mine][order], true))
    nothing = torch.zeros(0)
    return {
        one: average_precision(torch.cat([*hits[one], nothing]), torch.cat([*scores[one], nothing]), counts[one])
        for one in classes
    }


def hits_of(boxes: Tensor, true: Tensor) -> Tensor:
    """Whether each box, the best first, is right: each may take only the true box that it overlaps most.  (n,)"""
    hits = torch.zeros(len(boxes))
    if not len(boxes) or not len(true):
        return hits
    overlap, nearest = box_overlaps(boxes, true).max(1)
    taken: set[int] = set()
    for row, (much, place) in enumerate(zip(overlap.tolist(), nearest.tolist())):
        if much >= AVA_OVERLAP and place not in taken:
            taken.add(place)
            hits[row] = 1
    return hits
