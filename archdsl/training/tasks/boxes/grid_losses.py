"""Losses of detectors that say boxes of the cells of grids (YOLO, arXiv:1506.02640, 1612.08242, 1804.02767).

As the authors' darknet has them, whose gradients are those of the losses here; it adds up what is said of a frame. What
versions 2 and 3 do in their first steps alone, drawing all boxes to their anchors, is left out.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from archdsl.ops import Anchors
from archdsl.training.evaluation.average_precision import box_overlaps

PLACE_WEIGHT, EMPTY_WEIGHT = 5.0, 0.5
"""Weights of what version 1 says of places, and of boxes that hold nothing."""
HELD_WEIGHT = 5.0
"""Weight of a box that holds a thing, of version 2."""
IGNORED_FROM = {"softmax": 0.6, "sigmoid": 0.7}
"""Overlap beyond which a box of versions 2 and 3 is not taught to hold nothing."""
ScoreAct = Literal["softmax", "sigmoid"]


def owners(rows: Tensor, count: int, *, first: bool) -> Tensor:
    """Of so many rows the thing that each belongs to, -1 where there is none.  (g,) -> (count,)

    Of several things of one row it is the first, or the last.
    """
    things = torch.arange(len(rows), device=rows.device)
    found = torch.full((count,), -1, device=rows.device)
    return found.scatter_reduce(0, rows, things, "amin" if first else "amax", include_self=False)


def middles_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 4) corners -> (n, 2), (n, 2)"""
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2, sides


def corners_of(middles: Tensor, sides: Tensor) -> Tensor:
    """(n, 2), (n, 2) -> (n, 4)"""
    return torch.cat([middles - sides / 2, middles + sides / 2], dim=-1)


def cell_places(side: int, like: Tensor) -> Tensor:
    """Column and row of each cell, row by row.  (cells, 2)"""
    places = torch.arange(side**2, device=like.device)
    return torch.stack([places % side, places // side], dim=1).to(like.dtype)


def grid_boxes(shifts: Tensor, side: int) -> Tensor:
    """Corners of what version 1 says, in sides of the image.  (cells, boxes, 4) -> (cells, boxes, 4)"""
    middles = (shifts[..., :2] + cell_places(side, shifts)[:, None]) / side
    return corners_of(middles, shifts[..., 2:].square())


def grid_loss(scores: Tensor, things: Tensor, shifts: Tensor, true: Tensor, labels: Tensor) -> Tensor:
    """Version 1: squares of all errors; of each thing's cell one box is responsible.

    That is the box which overlaps the thing most, or which is nearest where none does; it is to say how much it
    overlaps. A cell stands for one thing, the first.
    scores (cells, classes), things (cells, boxes), shifts (cells, boxes, 4), true (g, 4) in sides of the image, labels
    (g,) from 1 on -> ()
    """
    side = round(len(scores) ** 0.5)
    nothing = EMPTY_WEIGHT * things.square().sum()
    if not len(true):
        return nothing
    middles, sides = middles_and_sides(true)
    column, row = (middles * side).long().clamp(0, side - 1).unbind(1)
    owner = owners(row * side + column, side**2, first=True)
    cells = (owner >= 0).nonzero()[:, 0]
    mine = owner[cells]
    said = grid_boxes(shifts.detach(), side)[cells]
    overlaps = torch.stack([box_overlaps(some, one[None])[:, 0] for some, one in zip(said, true[mine])])
    apart = torch.cat(middles_and_sides(said), 2) - torch.cat(middles_and_sides(true[mine]), 1)[:, None]
    nearest = apart.square().sum(2).argmin(1)
    best = torch.where(overlaps.amax(1) > 0, overlaps.argmax(1), nearest)
    within = middles[mine] * side - cell_places(side, shifts)[cells]
    places = (shifts[cells, best] - torch.cat([within, sides[mine].sqrt()], 1)).square().sum()
    held, overlap = things[cells, best], overlaps.gather(1, best[:, None])[:, 0]
    told = (scores[cells] - one_hot(labels[mine] - 1, scores.shape[1])).square().sum()
    return nothing + PLACE_WEIGHT * places + (held - overlap).square().sum() - EMPTY_WEIGHT * held.square().sum() + told


class Cells(NamedTuple):
    """Where the anchors of maps lie."""

    cells: Tensor
    """(n, 2) the top left corner of each anchor's cell, in pixels"""
    steps: Tensor
    """(n, 2) width and height of the cell"""
    sides: Tensor
    """(n, 2) width and height of the anchor"""

    def boxes(self, shifts: Tensor) -> Tensor:
        """Corners in pixels of what is said.  (n, 4) -> (n, 4)"""
        return corners_of(self.cells + shifts[:, :2].sigmoid() * self.steps, self.sides * shifts[:, 2:].exp())

    def rows(self, true: Tensor) -> Tensor:
        """Of each thing the anchor that is most like it in shape, of those in whose cells its middle lies.  (g,)"""
        middles, sides = middles_and_sides(true)
        common = torch.minimum(sides[:, None], self.sides).prod(2)
        alike = common / (sides.prod(1)[:, None] + self.sides.prod(1) - common)
        inside = (middles[:, None] >= self.cells) & (middles[:, None] < self.cells + self.steps)
        return torch.where(inside.all(2), alike, -1.0).argmax(1)


def cells_of(op: Anchors, device: torch.device) -> Cells:
    """Those of the anchors of a network, map by map, along h, w and the anchors of an element."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for some, (h, w), (down, along) in zip(op.sides, op.sizes, op.steps):
        y, x = torch.meshgrid(torch.arange(h) * down, torch.arange(w) * along, indexing="ij")
        cells = torch.stack([x, y], 2).flatten(0, 1).repeat_interleave(len(some), 0)
        steps = torch.tensor([along, down]).expand_as(cells)
        parts.append((cells, steps, torch.tensor(some).repeat(h * w, 1)))
    cells, steps, sides = (torch.cat(one).float().to(device) for one in zip(*parts))
    return Cells(cells, steps, sides)


def cells_loss(
    scores: Tensor,
    things: Tensor,
    shifts: Tensor,
    cells: Cells,
    size: tuple[int, int],
    true: Tensor,
    labels: Tensor,
    act: ScoreAct,
) -> Tensor:
    """Versions 2, whose scores are a softmax, and 3, whose scores are sigmoids.

    Of each thing one anchor is responsible, of several things of one anchor the last. Small things weigh up to twice.
    Version 2 says how much its box overlaps the thing, by squares; version 3 whether it is one, by cross-entropy.
    scores (n, classes), things (n,), shifts (n, 4), size (height, width), true (g, 4), labels (g,) from 1 on -> ()
    """
    said = cells.boxes(shifts.detach())
    near = torch.zeros_like(things, dtype=torch.bool)
    owner = torch.full_like(near, -1, dtype=torch.long)
    if len(true):
        near = (box_overlaps(said, true) > IGNORED_FROM[act]).any(1)
        owner = owners(cells.rows(true), len(things), first=False)
    mine = (owner >= 0).nonzero()[:, 0]
    empty = torch.where(near | (owner >= 0), 0.0, empty_losses(things, act)).sum()
    if not len(mine):
        return empty
    goals = true[owner[mine]]
    middles, sides = middles_and_sides(goals)
    weights = 2 - sides.prod(1) / (size[0] * size[1])
    within = (middles - cells.cells[mine]) / cells.steps[mine]
    stretch = (shifts[mine, 2:] - (sides / cells.sides[mine]).log()).square().sum(1) / 2
    overlaps = box_overlaps(said[mine], goals).diagonal()
    wanted = labels[owner[mine]] - 1
    if act == "softmax":
        places = (shifts[mine, :2].sigmoid() - within).square().sum(1) / 2
        held = HELD_WEIGHT * (things[mine].sigmoid() - overlaps).square() / 2
        told = cross_entropy(scores[mine], wanted, reduction="none")
    else:
        places = binary_cross_entropy_with_logits(shifts[mine, :2], within, reduction="none").sum(1)
        held = binary_cross_entropy_with_logits(things[mine], torch.ones_like(overlaps), reduction="none")
        goal = one_hot(wanted, scores.shape[1]).to(scores.dtype)
        told = binary_cross_entropy_with_logits(scores[mine], goal, reduction="none").sum(1)
    return empty + (weights * (places + stretch) + held + told).sum()


def empty_losses(things: Tensor, act: ScoreAct) -> Tensor:
    """Of boxes that hold nothing.  (n,) -> (n,)"""
    if act == "softmax":
        return things.sigmoid().square() / 2
    return binary_cross_entropy_with_logits(things, torch.zeros_like(things), reduction="none")
