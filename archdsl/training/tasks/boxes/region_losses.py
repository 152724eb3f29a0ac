"""Losses of detectors that propose boxes from anchors and tell them apart (R-FCN; dff_rfcn of Deep-Feature-Flow).

Corners are the first and the last pixel of a box here, as the authors' code counts them: a width is x2 - x1 + 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from archdsl.training.data.annotations.boxes.key_frame_boxes import CORNERS
from archdsl.training.evaluation.average_precision import box_overlaps

ANCHORS = 256
"""Of each frame in the loss of the proposals, at most half of them around things."""
FAR, NEAR = 0.3, 0.7
"""Overlaps of anchors that are no thing and that are one."""
THING = 0.5
"""Overlap of a proposal that is a thing."""
GOLDEN, MIXES = -7046029254386353131, ((30, -4658895280553007687), (27, -7723592293110705685), (31, 1))
"""Of SplitMix64, as signed numbers."""


def random_keys(seed: Tensor, count: int) -> Tensor:
    """Numbers that follow from a seed alike on every device, in every batch and process.  (count,)"""
    x = (torch.arange(count, device=seed.device) + 1) * GOLDEN + seed
    for shift, factor in MIXES:
        x = (x ^ (x >> shift & (1 << (64 - shift)) - 1)) * factor
    return x


def keyed_draw(wanted: Tensor, keys: Tensor, most: Tensor | int) -> Tensor:
    """At most so many of those that are wanted, by the order of their keys.  (n,) of bool -> (n,)"""
    last = torch.iinfo(keys.dtype).max
    ranks = torch.where(wanted, keys, last).argsort(stable=True).argsort(stable=True)
    return wanted & (ranks < most)


def shifts_between(boxes: Tensor, goals: Tensor) -> Tensor:
    """How boxes are moved, in their widths and heights, and stretched, as logarithms, to their goals.  (n, 4) each"""
    sides, wanted = (one[:, 2:] - one[:, :2] + 1 for one in (boxes, goals))
    middles = [one[:, :2] + (side - 1) / 2 for one, side in ((boxes, sides), (goals, wanted))]
    return torch.cat([(middles[1] - middles[0]) / sides, (wanted / sides).log()], dim=1)


def anchors_on(map_size: tuple[int, int], step: int, anchors: Tensor) -> Tensor:
    """Anchors around every element of a map of (height, width).  (a, 4) -> (a h w, 4)"""
    y, x = (torch.arange(n, device=anchors.device) * step for n in map_size)
    places = torch.stack(torch.meshgrid(x, y, indexing="xy") * 2, dim=2)
    return (anchors[:, None, None] + places).reshape(-1, CORNERS)


class AnchorTargets(NamedTuple):
    """What anchors should say."""

    labels: Tensor
    """(n,) 1 for a thing, 0 for none, -1 where it does not count"""
    nearest: Tensor
    """(n,) the thing that each overlaps most"""


def anchor_targets(
    anchors: Tensor, boxes: Tensor, size: tuple[int, int], keys: Tensor, border: int = 0
) -> AnchorTargets:
    """Things are what overlaps one by 0.7, and of each thing what overlaps it most; no thing is what overlaps none by
    0.3. Anchors that stick out of the frame of (height, width) by more than `border` do not count. 256 are drawn, at
    most half are things.

    (n, 4), (g, 4)
    """
    height, width = size
    inside = (anchors[:, :2] >= -border).all(1) & (anchors[:, 2] < width + border) & (anchors[:, 3] < height + border)
    nothing = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
    if len(boxes):
        overlaps = torch.where(inside[:, None], box_overlaps(anchors, boxes, 1), -1.0)
        most, nearest = overlaps.max(1)
        best = overlaps.max(0).values
        thing = ((overlaps == best) & (best > 0)).any(1) | (most >= NEAR)
    else:
        most, nearest, thing = torch.zeros_like(anchors[:, 0]), nothing, torch.zeros_like(inside)
    positive = keyed_draw(inside & thing, keys, ANCHORS // 2)
    negative = keyed_draw(inside & ~thing & (most < FAR), keys, ANCHORS - positive.sum())
    return AnchorTargets(torch.where(positive, 1, torch.where(negative, 0, -1)), nearest)


def proposal_loss(
    scores: Tensor,
    shifts: Tensor,
    anchors: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    keys: Tensor,
    units: Tensor,
    border: int = 0,
    sharp: float = 1.0,
) -> Tensor:
    """Of one frame, what is said of its anchors: the mean cross-entropy of those drawn; how things lie, over 256.

    Errors of places are squared below `sharp`.

    scores (2 a, h, w), background first, shifts (4 a, h, w) in `units`, anchors (a h w, 4), boxes (g, 4) -> ()
    """
    labels, nearest = anchor_targets(anchors, boxes, size, keys, border)
    said = scores.reshape(2, -1).T
    counted = (labels >= 0).sum().clamp(min=1)
    loss = cross_entropy(said, labels, ignore_index=-1, reduction="sum") / counted
    if not len(boxes):
        return loss
    wanted = shifts_between(anchors, boxes[nearest]) / units
    moved = shifts.unflatten(0, (-1, CORNERS)).transpose(0, 1).reshape(CORNERS, -1).T
    errors = smooth_l1_loss(moved, wanted, reduction="none", beta=sharp).sum(1)
    return loss + torch.where(labels == 1, errors, 0.0).sum() / ANCHORS


def region_loss(
    chances: Tensor, shifts: Tensor, proposals: Tensor, boxes: Tensor, labels: Tensor, units: Tensor, hardest: int
) -> Tensor:
    """Of one frame, what is said of its proposals: only the hardest are learnt (OHEM, arXiv:1604.03540).

    chances (classes, r), shifts (8, r) in `units`, of which the last four move things, proposals (r, 4), those of zeros
    left out, boxes (g, 4), labels (g,) -> ()
    """
    there = (proposals != 0).any(1)
    classes = torch.zeros_like(proposals[:, 0], dtype=torch.long)
    errors = torch.zeros_like(proposals[:, 0])
    if len(boxes):
        most, nearest = box_overlaps(proposals, boxes, 1).max(1)
        classes = torch.where(most >= THING, labels[nearest], 0)
        wanted = shifts_between(proposals, boxes[nearest]) / units
        errors = smooth_l1_loss(shifts[-CORNERS:].T, wanted, reduction="none").sum(1)
        errors = torch.where(classes > 0, errors, 0.0)
    told = -chances.clamp(min=torch.finfo(chances.dtype).tiny).log().gather(0, classes[None])[0]
    hard = torch.where(there, (told + errors).detach(), -torch.inf).topk(min(hardest, len(there))).indices
    kept = there[hard]
    mean = torch.where(kept, told[hard], 0.0).sum() / kept.sum().clamp(min=1)
    return mean + torch.where(kept, errors[hard], 0.0).sum() / hardest
