"""Detections without near doubles."""

from __future__ import annotations

from typing import NamedTuple

import torch

from archdsl.training.evaluation.segment_metrics import Detections, segment_overlaps


class SoftSuppression(NamedTuple):
    """Soft-NMS as BSN and BMN have it: scores fall by exp(-overlap^2 / alpha).

    Only of what overlaps the best by more than `low`, for a best one without length, to `high`, for one as long as the
    whole sequence.
    """

    alpha: float
    low: float
    high: float

    def kept(self, found: Detections, whole: float, most: int) -> Detections:
        """The best detections with their new scores; `whole` is the sequence's length."""
        places: list[int] = []
        scores: list[float] = []
        left = found.scores.clone().double()
        while len(places) < min(most, len(left)):
            best = int(left.argmax())
            places.append(best)
            scores.append(float(left[best]))
            near = segment_overlaps(found.segments[best : best + 1], found.segments)[0].double()
            width = float(found.segments[best, 1] - found.segments[best, 0]) / whole
            doubled = near > self.low + (self.high - self.low) * width
            left = torch.where(doubled, left * (-(near**2) / self.alpha).exp(), left)
            left[places] = -torch.inf
        return found.of(torch.tensor(places, dtype=torch.long))._replace(scores=torch.tensor(scores).float())


def without_overlaps(found: Detections, overlap: float, most: int) -> Detections:
    """The best of each class, then the best of those that do not overlap one before it by more than that."""
    found, kept = found.by_score(), list[int]()
    near = segment_overlaps(found.segments, found.segments) > overlap
    near &= found.labels[:, None] == found.labels[None]
    alive = torch.ones(len(found.scores), dtype=torch.bool)
    for i in range(len(alive)):
        if len(kept) == most:
            break
        if alive[i]:
            kept.append(i)
            alive &= ~near[i]
    return found.of(torch.tensor(kept, dtype=torch.long))
