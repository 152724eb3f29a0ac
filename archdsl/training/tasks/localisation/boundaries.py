"""Boundaries, then candidates, then how good each is (BSN, arXiv:1806.02964): its two networks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, smooth_l1_loss

from archdsl.compiler import Plan
from archdsl.training.data.clips import Batch
from archdsl.training.evaluation.segment_metrics import Detections, segment_overlaps
from archdsl.training.tasks.localisation.reader import (
    Reader,
    balanced_shares,
    peaks,
    regions_within,
    weighed_logs,
)
from archdsl.training.tasks.localisation.suppression import SoftSuppression

ACTION_WEIGHT = 2.0
"""Of the loss of actionness; those of starts and ends have 1."""
BSN_SUPPRESSION = SoftSuppression(0.75, 0.65, 0.9)
MOST_KEPT = 100
MOST_CANDIDATES = 1000
POINTS = (16, 8, 8)
"""Numbers read of a candidate: within it, around its start, around its end."""
SAMPLES = 4
"""Places whose mean is one number."""
AROUND = 0.2
"""How far around a boundary is read, in lengths of the candidate."""
HIGH, LOW = 0.6, 0.2
"""Overlaps above and up to which a candidate is good and bad."""
KIND_SHARES = (1.0, 2.0)
"""Weights of what lies between and of the bad ones, for that of the good ones."""


def boundary_targets(segments: Tensor, positions: int) -> Tensor:
    """The share of each position within an action, the region around a start, around an end.  (k, 2) -> (3, t)

    Regions are a tenth of the action wide, and at least one position.
    """
    edges = torch.arange(positions + 1, device=segments.device) / positions
    half = ((segments[:, 1] - segments[:, 0]) / 10).clamp(min=1 / positions) / 2
    around = [torch.stack([place - half, place + half], dim=1) for place in segments.unbind(1)]
    return torch.stack([regions_within(one, edges) for one in (segments, *around)])


class BoundaryReader(Reader):
    """BSN's first network: (n, 3, t) chances of an action, a start and an end at each position."""

    classwise = False

    @classmethod
    def reads(cls, plan: Plan) -> bool:
        return [shape[0] for shape in plan.outputs.values() if len(shape) == 2] == [3] and len(plan.outputs) == 1

    @property
    def positions(self) -> int:
        """How many there are."""
        return next(iter(self.plan.outputs.values()))[1]

    def targets(self, batch: Batch) -> Tensor:
        """(n, 3, t)"""
        return torch.stack([boundary_targets(one, self.positions) for (one,) in batch.targets["segments"]])

    def amounts(self, batch: Batch) -> Tensor:
        """Positive positions of each of the three, and all."""
        positive = (self.targets(batch) > 0.5).sum(2).float()
        return torch.cat([positive, positive.new_full((len(positive), 1), self.positions)], dim=1)

    def loss(self, outputs: dict[str, Tensor], batch: Batch, totals: Tensor) -> Tensor:
        (chances,) = outputs.values()
        positive, losses = self.targets(batch) > 0.5, []
        for i, weight in enumerate((ACTION_WEIGHT, 1.0, 1.0)):
            everywhere = torch.ones_like(chances[:, i])
            losses.append(weight * weighed_logs(chances[:, i], positive[:, i], everywhere, totals[i], totals[3]))
        return torch.stack(losses).sum(0)

    def detections(self, outputs: dict[str, Tensor]) -> list[Detections]:
        (chances,) = outputs.values()
        return [candidate_segments(one, MOST_CANDIDATES) for one in chances.cpu()]

    def chances(self, outputs: dict[str, Tensor]) -> Tensor:
        return next(iter(outputs.values())).cpu()

    def suppressed(self, found: Detections, whole: float) -> Detections:
        return BSN_SUPPRESSION.kept(found, whole, MOST_KEPT)


def candidate_segments(chances: Tensor, most: int) -> Detections:
    """Every start before every end, of those that stand out, scored by both; the best.  (3, t)"""
    t = chances.shape[1]
    starts, ends = peaks(chances[1]), peaks(chances[2])
    pairs = torch.cartesian_prod(starts, ends)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    scores = chances[1, pairs[:, 0]] * chances[2, pairs[:, 1]]
    best = scores.argsort(stable=True, descending=True)[:most]
    segments = (pairs[best].float() + 0.5) / t
    return Detections(segments, scores[best], torch.zeros(len(best), dtype=torch.long))


def boundary_features(chances: Tensor, segments: Tensor) -> Tensor:
    """What the second network reads of each candidate: actionness within it and around both its ends.  -> (32, k)"""
    t, reach = chances.shape[1], AROUND * (segments[:, 1] - segments[:, 0])
    around = [torch.stack([place - reach, place + reach], dim=1) for place in segments.unbind(1)]
    padded = pad(chances[0], (1, 1))
    read = []
    for part, points in zip((segments, *around), POINTS):
        steps = torch.linspace(0, 1, points * (SAMPLES - 1) + 1)
        places = part[:, :1] + (part[:, 1:] - part[:, :1]) * steps
        index = (places * t + 0.5).clamp(0, t + 1)  # centres of positions are whole numbers from 1 on; beyond is 0
        low = index.floor().long().clamp(max=t)
        share = index - low
        values = padded[low] * (1 - share) + padded[low + 1] * share
        read.append(values.unfold(1, SAMPLES, SAMPLES - 1).mean(2))
    return torch.cat(read, dim=1).T


class Candidates(NamedTuple):
    """Candidates of a sequence, filled up to a number."""

    features: Tensor
    """(32, most, 1, 1)"""
    segments: Tensor
    """(most, 2)"""
    chances: Tensor
    """(most,) of the start times that of the end"""

    @classmethod
    def of(cls, chances: Tensor, most: int) -> Candidates:
        """Those of (3, t) chances."""
        found = candidate_segments(chances, most)
        more = most - len(found.scores)
        features = pad(boundary_features(chances, found.segments), (0, more))
        return cls(features[:, :, None, None], pad(found.segments, (0, 0, 0, more)), pad(found.scores, (0, more)))


class OverlapReader(Reader):
    """BSN's second network: (n, 1, candidates) the overlap of each candidate with what it fits best."""

    classwise = False

    @classmethod
    def reads(cls, plan: Plan) -> bool:
        first = next(iter(plan.inputs.values()))
        return [shape[0] for shape in plan.outputs.values()] == [1] and first[0] == sum(POINTS)

    def counted(self, batch: Batch) -> tuple[Tensor, ...]:
        """(overlaps, candidates that are good, in between, bad).  (n, k) each"""
        truth = torch.stack(
            [
                segment_overlaps(places, one).amax(1) if len(one) else places.new_zeros(len(places))
                for places, (one,) in zip(batch.targets["candidates"], batch.targets["segments"])
            ]
        )
        there = batch.targets["candidates"][..., 1] > 0
        return truth, (truth > HIGH) & there, (truth <= HIGH) & (truth > LOW) & there, (truth <= LOW) & there

    def amounts(self, batch: Batch) -> Tensor:
        """How many candidates are good, in between and bad."""
        return torch.stack([part.sum(1).float() for part in self.counted(batch)[1:]], dim=1)

    def loss(self, outputs: dict[str, Tensor], batch: Batch, totals: Tensor) -> Tensor:
        (said,) = outputs.values()
        truth, high, middle, low = self.counted(batch)
        shares = balanced_shares(totals, KIND_SHARES)
        weights = high + shares[0] * middle + shares[1] * low
        whole = totals[0] + shares[0] * totals[1] + shares[1] * totals[2]
        return (smooth_l1_loss(said[:, 0], truth, reduction="none") * weights).sum(1) / whole.clamp(min=1)

    def detections(self, outputs: dict[str, Tensor]) -> list[Detections]:
        (said,) = outputs.values()
        nowhere = torch.zeros(said.shape[2], 2)
        return [Detections(nowhere, one, torch.zeros(len(one), dtype=torch.long)) for one in said[:, 0].cpu()]

    def suppressed(self, found: Detections, whole: float) -> Detections:
        return BSN_SUPPRESSION.kept(found, whole, MOST_KEPT)
