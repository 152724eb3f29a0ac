"""Losses of detectors on a pyramid of maps and of single shots, as torchvision has them.

Corners lie at edges of pixels. Sums over a frame are divided by numbers of that frame, and frames are averaged;
torchvision's SSD divides by the boxes of the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, smooth_l1_loss

from archdsl.training.evaluation.average_precision import box_overlaps
from archdsl.training.tasks.boxes.region_losses import keyed_draw

NOTHING, BETWEEN = -1, -2
"""What does not match a box: it is none, or it does not count."""
SHARP = 1 / 9
"""Where the smooth L1 error of Faster R-CNN becomes a line."""
ANCHORS, ANCHOR_THINGS = 256, 128
REGIONS, REGION_THINGS = 512, 128
"""Drawn of each frame, and how many of them are things at most."""
FOCUS, FOCUS_SHARE = 2.0, 0.25
"""Gamma and alpha of the focal loss (arXiv:1708.02002)."""
HARD = 3
"""Anchors without a thing that SSD learns for each with one: those it is most wrong about."""


def matched_boxes(boxes: Tensor, true: Tensor, near: float, far: float, *, best: str = "none") -> Tensor:
    """Which true box each stands for: that which it overlaps most, by `near`; NOTHING below `far`, else BETWEEN.

    With `best` "kept" those that overlap a true box more than all others stand for what they overlap most too; with
    "given" the best one of each true box stands for that.  (n, 4), (g, 4) -> (n,)
    """
    if not len(true):
        return torch.full((len(boxes),), NOTHING, device=boxes.device)
    overlaps = box_overlaps(boxes, true)
    most, nearest = overlaps.max(1)
    found = torch.where(most >= near, nearest, torch.where(most < far, NOTHING, BETWEEN))
    if best == "kept":
        top = overlaps.max(0).values
        found = torch.where(((overlaps == top) & (top > 0)).any(1), nearest, found)
    if best == "given":
        found[overlaps.max(0).indices] = torch.arange(len(true), device=boxes.device)
    return found


def coded(boxes: Tensor, goals: Tensor, units: Tensor) -> Tensor:
    """How boxes are moved and stretched to their goals, in units.  (n, 4), (n, 4), (4,) -> (n, 4)"""
    sides, wanted = (one[:, 2:] - one[:, :2] for one in (boxes, goals))
    middles = [one[:, :2] + side / 2 for one, side in ((boxes, sides), (goals, wanted))]
    return torch.cat([(middles[1] - middles[0]) / sides, (wanted / sides).log()], dim=1) / units


def halves(found: Tensor, keys: Tensor, many: int, things: int) -> tuple[Tensor, Tensor]:
    """(things, others) that are drawn: so many together, at most so many things.  (n,) -> (n,), (n,) of bool"""
    positive = keyed_draw(found >= 0, keys, things)
    return positive, keyed_draw(found == NOTHING, keys, many - positive.sum())


def objectness_loss(scores: Tensor, shifts: Tensor, anchors: Tensor, true: Tensor, keys: Tensor) -> Tensor:
    """Of proposals: binary cross-entropy and smooth L1, both over the number of anchors drawn.

    scores (n,), shifts (n, 4), anchors (n, 4), true (g, 4) -> ()
    """
    found = matched_boxes(anchors, true, 0.7, 0.3, best="kept")
    positive, negative = halves(found, keys, ANCHORS, ANCHOR_THINGS)
    drawn = positive | negative
    told = binary_cross_entropy_with_logits(scores, positive.float(), reduction="none")
    loss = torch.where(drawn, told, 0.0).sum()
    if len(true):
        wanted = coded(anchors, true[found.clamp(min=0)], anchors.new_ones(4))
        loss = (
            loss + torch.where(positive, smooth_l1_loss(shifts, wanted, reduction="none", beta=SHARP).sum(1), 0).sum()
        )
    return loss / drawn.sum().clamp(min=1)


def region_classes_loss(
    scores: Tensor,
    shifts: Tensor,
    proposals: Tensor,
    true: Tensor,
    labels: Tensor,
    units: Tensor,
    keys: Tensor,
    *,
    many: int = REGIONS,
    things: int = REGION_THINGS,
    sharp: float = SHARP,
) -> Tensor:
    """Of what is in proposals: cross-entropy, and smooth L1 of the true class's shifts, over the number drawn.

    Drawn are `many` of which `things` hold one at most; errors are squared below `sharp`.
    scores (r, classes), shifts (r, classes, 4), proposals (r, 4), those of zeros left out -> ()
    """
    found = matched_boxes(proposals, true, 0.5, 0.5)
    found = torch.where((proposals != 0).any(1), found, BETWEEN)
    positive, negative = halves(found, keys, many, things)
    drawn, nearest = positive | negative, found.clamp(min=0)
    classes = torch.where(positive, labels[nearest], 0) if len(true) else torch.zeros_like(found)
    loss = torch.where(drawn, cross_entropy(scores, classes, reduction="none"), 0.0).sum()
    if len(true):
        there = torch.where(positive[:, None], proposals, true[nearest])  # of the others nothing is learnt
        wanted, mine = coded(there, true[nearest], units), shifts[torch.arange(len(shifts)), classes]
        loss = loss + torch.where(positive, smooth_l1_loss(mine, wanted, reduction="none", beta=sharp).sum(1), 0).sum()
    return loss / drawn.sum().clamp(min=1)


def focal_loss(scores: Tensor, shifts: Tensor, anchors: Tensor, true: Tensor, labels: Tensor, units: Tensor) -> Tensor:
    """RetinaNet's: the focal loss of every anchor that is a thing or none, and L1, both over the number of things.

    scores (n, classes), shifts (n, 4) -> ()
    """
    found = matched_boxes(anchors, true, 0.5, 0.4, best="kept")
    thing, nearest = found >= 0, found.clamp(min=0)
    wanted = torch.zeros_like(scores)
    if len(true):
        wanted[torch.arange(len(scores)), labels[nearest]] = thing.float()
    told = binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    right = torch.exp(-told)
    share = torch.where(wanted > 0, FOCUS_SHARE, 1 - FOCUS_SHARE)
    focused = share * (1 - right) ** FOCUS * told
    loss = torch.where((found != BETWEEN)[:, None], focused, 0.0).sum()
    if len(true):
        errors = l1_loss(shifts, coded(anchors, true[nearest], units), reduction="none").sum(1)
        loss = loss + torch.where(thing, errors, 0.0).sum()
    return loss / thing.sum().clamp(min=1)


def multibox_loss(
    scores: Tensor, shifts: Tensor, anchors: Tensor, true: Tensor, labels: Tensor, units: Tensor
) -> Tensor:
    """SSD's (arXiv:1512.02325): cross-entropy of things and of thrice as many others, the hardest, and smooth L1.

    scores (n, classes), the background first, shifts (n, 4) -> ()
    """
    found = matched_boxes(anchors, true, 0.5, 0.5, best="given")
    thing, nearest = found >= 0, found.clamp(min=0)
    classes = torch.where(thing, labels[nearest], 0) if len(true) else torch.zeros_like(found)
    told = cross_entropy(scores, classes, reduction="none")
    ranks = torch.where(thing, -torch.inf, told.detach()).argsort(descending=True, stable=True).argsort()
    loss = torch.where(thing | (ranks < HARD * thing.sum()), told, 0.0).sum()
    if len(true):
        errors = smooth_l1_loss(shifts, coded(anchors, true[nearest], units), reduction="none").sum(1)
        loss = loss + torch.where(thing, errors, 0.0).sum()
    return loss / thing.sum().clamp(min=1)
