"""How the outputs of one kind of localiser are learnt and read."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from archdsl.compiler import Plan
from archdsl.training.data.clips import Batch
from archdsl.training.evaluation.segment_metrics import Detections

LEAST_CHANCE = 1e-5
"""What is added within a logarithm."""
RATIO_BOUNDS = (1.05, 21.0)
"""Bounds of all positions over those that count as positive (MMAction2's)."""


class Reader(ABC):
    """One kind of localiser."""

    classwise: bool
    """Whether it says which class a segment is of."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @classmethod
    @abstractmethod
    def reads(cls, plan: Plan) -> bool:
        """Whether a network has the outputs of this kind."""

    @abstractmethod
    def amounts(self, batch: Batch) -> Tensor:
        """What the loss needs to know of the whole step.  (n, k)"""

    @abstractmethod
    def loss(self, outputs: dict[str, Tensor], batch: Batch, totals: Tensor) -> Tensor:
        """What each clip adds.  (n,)"""

    @abstractmethod
    def detections(self, outputs: dict[str, Tensor]) -> list[Detections]:
        """What is found in each clip, in shares of it, doubles among it."""

    def chances(self, outputs: dict[str, Tensor]) -> Tensor | None:
        """What another network reads of each clip, where one does.  (n, columns, positions)"""
        return None

    @abstractmethod
    def suppressed(self, found: Detections, whole: float) -> Detections:
        """What is found in a video of that length, without doubles."""


def regions_within(segments: Tensor, edges: Tensor) -> Tensor:
    """The share of each cell that lies within a region, of the best region.  (k, 2), (cells + 1,) -> (cells,)"""
    if not len(segments):
        return edges.new_zeros(len(edges) - 1)
    low, high = edges[:-1], edges[1:]
    common = torch.minimum(segments[:, 1:], high) - torch.maximum(segments[:, :1], low)
    return (common.clamp(min=0) / (high - low)).amax(0)


def weighed_logs(chances: Tensor, positive: Tensor, counted: Tensor, positives: Tensor, positions: Tensor) -> Tensor:
    """BSN's logistic loss, in which both kinds of positions weigh alike: what each adds, summed per clip.  (n, ...)

    `positives` and `positions` are counts over the whole step.
    """
    ratio = (positions / positives.clamp(min=1)).clamp(*RATIO_BOUNDS)
    weights = torch.where(positive, 0.5 * ratio, 0.5 * ratio / (ratio - 1))
    logs = torch.where(positive, chances + LEAST_CHANCE, 1 - chances + LEAST_CHANCE).log()
    return -(weights * logs * counted).flatten(1).sum(1) / positions.clamp(min=1)


def balanced_shares(counts: Tensor, ratios: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """How much each of the middle and of the low counts so that they weigh `ratios` of the high ones, at most 1.

    The originals draw some of them at random; this is what a draw gives on average, the same in any split of a batch.
    """
    high, middle, low = counts
    return (ratios[0] * high / middle.clamp(min=1)).clamp(max=1), (ratios[1] * high / low.clamp(min=1)).clamp(max=1)


def peaks(chances: Tensor) -> Tensor:
    """The first, the last, local maxima, and what is above half the largest.  (t,) -> places"""
    taken = chances > 0.5 * chances.amax()
    taken[0] = taken[-1] = True
    inner = chances[1:-1]
    taken[1:-1] |= (inner > chances[:-2]) & (inner > chances[2:])
    return taken.nonzero().flatten()
