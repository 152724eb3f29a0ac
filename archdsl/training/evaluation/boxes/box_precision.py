"""Average precision of found boxes, as ImageNet VID, PASCAL VOC and COCO count it.

Boxes have their corners at edges of pixels; VID and VOC count pixels from the first to the last one, which is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.training.evaluation.average_precision import average_precision, box_overlaps

HALF = 0.5
VID_MARGIN = 10
"""Pixels by which a small thing's width and height are enlarged in the overlap that it needs."""
COCO_OVERLAPS = tuple(i / 100 for i in range(50, 100, 5))
COCO_BOXES = 100
"""Boxes of a class that a picture may have."""
COCO_RECALLS = 101
VOC07_RECALLS = 11


class FoundFrame(NamedTuple):
    """A frame: boxes found, and true ones."""

    boxes: Tensor
    """(n, 4)"""
    labels: Tensor
    """(n,)"""
    scores: Tensor
    """(n,)"""
    true_boxes: Tensor
    """(t, 4)"""
    true_labels: Tensor
    """(t,)"""
    ignored: Tensor
    """(t,) whether a true box counts neither as found nor as missed"""


class Hits(NamedTuple):
    """The found boxes of a class that count, of all frames, and how many there are to find."""

    right: Tensor
    scores: Tensor
    positives: int


def class_hits(
    frames: Sequence[FoundFrame],
    label: int,
    rule: str,
    overlap: float = HALF,
    likeness: Sequence[Tensor] | None = None,
) -> Hits:
    """What is found of a class, by the matching of `vid`, `voc` or `coco`.

    By COCO's another `likeness` than the overlap of boxes may count: of each frame how much (n,) found things are like
    (t,) true ones.
    """
    right, scores, positives = [torch.zeros(0)], [torch.zeros(0)], 0
    for place, frame in enumerate(frames):
        mine, true = frame.labels == label, frame.true_labels == label
        order = frame.scores[mine].argsort(descending=True, stable=True)
        order = order[:COCO_BOXES] if rule == "coco" else order
        boxes, ignored = frame.boxes[mine][order], frame.ignored[true]
        match rule:
            case "vid":
                hits = vid_matches(boxes, frame.true_boxes[true])
            case "coco":
                shares = None if likeness is None else likeness[place][mine][order][:, true]
                shares = coco_shares(boxes, frame.true_boxes[true], ignored) if shares is None else shares
                hits = coco_matches(shares, ignored, overlap)
            case _:
                hits = voc_matches(boxes, frame.true_boxes[true], ignored)
        counted = hits >= 0
        right.append(hits[counted].float())
        scores.append(frame.scores[mine][order][counted])
        positives += int((~ignored).sum()) if rule != "vid" else int(true.sum())
    return Hits(torch.cat(right), torch.cat(scores), positives)


def vid_matches(boxes: Tensor, true: Tensor) -> Tensor:
    """1 where a box is right, else 0: of those still free it takes the one that it overlaps most, and enough.  (n,)"""
    sides = (true[:, 2:] - true[:, :2]).unbind(1)
    needed = (sides[0] * sides[1] / ((sides[0] + VID_MARGIN) * (sides[1] + VID_MARGIN))).clamp(max=HALF)
    overlaps, hits = box_overlaps(boxes, true), torch.zeros(len(boxes))
    for row, shares in enumerate(overlaps):
        shares = torch.where(shares >= needed, shares, -1.0)
        if len(true) and shares.max() >= 0:
            place = int(shares.argmax())
            needed[place] = torch.inf
            hits[row] = 1
    return hits


def voc_matches(boxes: Tensor, true: Tensor, ignored: Tensor) -> Tensor:
    """1 where a box is right, 0 where wrong, -1 where it takes a difficult one.  (n,)

    A box stands for the true one that it overlaps most, which only the best may take.
    """
    hits, taken = torch.zeros(len(boxes)), set[int]()
    if not len(true):
        return hits
    for row, shares in enumerate(box_overlaps(boxes, true)):
        place = int(shares.argmax())
        if shares[place] < HALF:
            continue
        if ignored[place]:
            hits[row] = -1
        elif place not in taken:
            taken.add(place)
            hits[row] = 1
    return hits


def coco_shares(boxes: Tensor, true: Tensor, crowd: Tensor) -> Tensor:
    """How much boxes overlap true ones; of a crowd it is a share of the box alone.  (n, 4), (t, 4) -> (n, t)"""
    common = box_overlaps(boxes, true)
    within = torch.stack([shares_within(boxes, one) for one in true], 1) if len(true) else common
    return torch.where(crowd, within, common)


def coco_matches(shares: Tensor, crowd: Tensor, overlap: float) -> Tensor:
    """1 where a box is right, 0 where wrong, -1 within a crowd: of the free ones it takes that it overlaps most.  (n,)

    Any number of boxes may lie within a crowd.
    """
    free = torch.ones(len(crowd), dtype=torch.bool)
    least, hits = min(overlap, 1 - 1e-10), torch.zeros(len(shares))
    for row, mine in enumerate(shares):
        enough = mine >= least
        single = enough & free & ~crowd
        if single.any():
            # of equal ones the last, as pycocotools goes on where an overlap is no smaller
            best = torch.where(single, mine, -1.0)
            free[int((best == best.max()).nonzero()[-1])] = False
            hits[row] = 1
        elif (enough & crowd).any():
            hits[row] = -1
    return hits


def shares_within(boxes: Tensor, other: Tensor) -> Tensor:
    """How much of each box lies within another.  (n, 4), (4,) -> (n,)"""
    first, last = torch.maximum(boxes[:, :2], other[:2]), torch.minimum(boxes[:, 2:], other[2:])
    return (last - first).clamp(min=0).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1e-12)


def sampled_precision(hits: Hits, recalls: int) -> float:
    """The mean, over evenly spaced recalls, of the largest precision there or beyond; NaN with nothing to find."""
    if not hits.positives:
        return float("nan")
    found = hits.right[hits.scores.argsort(descending=True, stable=True)].double()
    recall = found.cumsum(0) / hits.positives
    precision = found.cumsum(0) / torch.arange(1, len(found) + 1, dtype=torch.float64)
    envelope = torch.cat([precision.flip(0).cummax(0).values.flip(0), torch.zeros(1)])
    places = torch.searchsorted(recall, torch.linspace(0, 1, recalls, dtype=torch.float64))
    return float(envelope[places].mean())


def box_precisions(
    frames: Sequence[FoundFrame], label: int, metric: str, likeness: Sequence[Tensor] | None = None
) -> dict[str, float]:
    """The figures of one class, by a benchmark's rules; the first is its main one."""
    if metric == "coco":
        every = [class_hits(frames, label, "coco", one, likeness) for one in COCO_OVERLAPS]
        found = [sampled_precision(hits, COCO_RECALLS) for hits in every]
        middle = COCO_OVERLAPS.index(0.75)
        return {"ap": sum(found) / len(found), "ap50": found[0], "ap75": found[middle]}
    hits = class_hits(frames, label, "vid" if metric == "vid" else "voc")
    if metric == "voc07":
        return {"map": sampled_precision(hits, VOC07_RECALLS)}
    return {"map": average_precision(hits.right, hits.scores, hits.positives)}
