"""The loss of detectors that say a set of boxes: each true box has the query that suits it best (DETR)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss

from archdsl.training.evaluation.average_precision import box_overlaps
from archdsl.training.tasks.boxes.grid_losses import corners_of

DISTANCE_WEIGHT, OVERLAP_WEIGHT = 5.0, 2.0
"""Weights of the distance of boxes and of their generalised overlap (arXiv:2005.12872, A.4)."""
THING_WEIGHT = 10.0
"""How much a query with a thing counts among classes; one without counts 1."""


def least_cost(costs: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row, each column at most once, of the least sum: shortest augmenting paths (Kuhn, Munkres).

    rows x columns, no more rows than columns; equal costs go to the first column.
    """
    columns = len(costs[0]) if costs else 0
    row_of, prices, offers = [-1] * columns, [0.0] * columns, [0.0] * len(costs)
    for start in range(len(costs)):
        least, before, done = [float("inf")] * columns, [-1] * columns, [False] * columns
        row, column = start, -1
        while True:
            free = [j for j in range(columns) if not done[j]]
            for j in free:
                if (cost := costs[row][j] - offers[row] - prices[j]) < least[j]:
                    least[j], before[j] = cost, column
            step, nearest = min((least[j], j) for j in free)
            offers[start] += step
            for j in range(columns):
                if done[j]:
                    offers[row_of[j]] += step
                    prices[j] -= step
                else:
                    least[j] -= step
            column, done[nearest] = nearest, True
            if row_of[column] < 0:
                break
            row = row_of[column]
        while column >= 0:
            earlier = before[column]
            row_of[column] = row_of[earlier] if earlier >= 0 else start
            column = earlier
    return [row_of.index(row) for row in range(len(costs))]


def corners_from(boxes: Tensor) -> Tensor:
    """(n, 4): centre, width, height -> corners"""
    return corners_of(boxes[:, :2], boxes[:, 2:])


def general_overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Overlap less the empty share of what encloses both (arXiv:1902.09630).  corners (n, 4), (m, 4) -> (n, m)"""
    first, last = torch.minimum(boxes[:, None, :2], others[:, :2]), torch.maximum(boxes[:, None, 2:], others[:, 2:])
    around = (last - first).prod(2)
    inner = torch.minimum(boxes[:, None, 2:], others[:, 2:]) - torch.maximum(boxes[:, None, :2], others[:, :2])
    areas = [(one[:, 2:] - one[:, :2]).prod(1) for one in (boxes, others)]
    union = areas[0][:, None] + areas[1] - inner.clamp(min=0).prod(2)
    empty = torch.where(around > 0, (around - union) / around, 0.0)
    return box_overlaps(boxes, others) - empty


def set_match(scores: Tensor, boxes: Tensor, true: Tensor, labels: Tensor) -> Tensor:
    """The query of each true box: chances of its class, distance and overlap, weighed.  -> (g,), or fewer queries'

    scores (q, classes), boxes (q, 4), true (g, 4) alike, labels (g,). Of more things than queries the first count.
    """
    few = min(len(true), len(scores))
    with torch.no_grad():
        chances = scores.float().softmax(1)[:, labels[:few]]
        apart = torch.cdist(boxes.float(), true[:few].float(), p=1)
        shared = general_overlaps(corners_from(boxes.float()), corners_from(true[:few]))
        costs = DISTANCE_WEIGHT * apart - chances - OVERLAP_WEIGHT * shared
    return torch.tensor(least_cost(costs.T.tolist()), dtype=torch.long, device=scores.device)


def set_loss(scores: Tensor, boxes: Tensor, true: Tensor, labels: Tensor) -> Tensor:
    """Sums of cross-entropy, weighed by class, and of what boxes are off: to be divided by `set_amounts`.  -> (2,)

    scores (q, classes), the last of them no object, boxes and true (n, 4): centre, width, height; labels (g,)
    """
    mine = set_match(scores, boxes, true, labels)
    few = len(mine)
    wanted = torch.full((len(scores),), scores.shape[1] - 1, device=scores.device)
    wanted[mine] = labels[:few]
    told = cross_entropy(scores, wanted, reduction="none")
    told = told.scatter(0, mine, told[mine] * THING_WEIGHT).sum()
    shared = general_overlaps(corners_from(boxes[mine]), corners_from(true[:few])).diagonal()
    apart = l1_loss(boxes[mine], true[:few], reduction="sum")
    return torch.stack([told, DISTANCE_WEIGHT * apart + OVERLAP_WEIGHT * (1 - shared).sum()])


def set_amounts(queries: int, true: Tensor) -> Tensor:
    """What a frame counts in both sums.  (2,)"""
    few = min(len(true), queries)
    return true.new_tensor([queries + (THING_WEIGHT - 1) * few, few])
