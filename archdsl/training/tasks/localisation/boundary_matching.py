"""Every duration and start at once (BMN, arXiv:1907.09702)."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.compiler import Plan
from archdsl.training.data.clips import Batch
from archdsl.training.evaluation.segment_metrics import Detections, segment_overlaps
from archdsl.training.tasks.localisation.boundaries import MOST_KEPT
from archdsl.training.tasks.localisation.reader import Reader, balanced_shares, peaks, regions_within, weighed_logs
from archdsl.training.tasks.localisation.suppression import SoftSuppression

BMN_SUPPRESSION = SoftSuppression(0.4, 0.5, 0.9)
BOUNDARY_POSITIONS = 3
"""Width of the region around a boundary."""
HIGH, LOW = 0.7, 0.3
"""Overlaps above and up to which a proposal is good and bad."""
SURE = 0.9
"""Overlap above which the classification says yes."""
REGRESSION_WEIGHT = 10.0


class MatchingReader(Reader):
    """`start` and `end` (n, 1, t), and `proposals` (n, 2, 1, durations, t): overlap regressed, and classified."""

    classwise = False

    @classmethod
    def reads(cls, plan: Plan) -> bool:
        return {*plan.outputs} == {"start", "end", "proposals"} and plan.outputs["proposals"][0] == 2

    @property
    def size(self) -> tuple[int, int]:
        """(durations, positions)"""
        _, _, durations, positions = self.plan.outputs["proposals"]
        return durations, positions

    def segments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Every proposal in shares of the sequence, and which end within it.  (d, t, 2), (d, t)"""
        durations, t = self.size
        first = torch.arange(t, device=device).expand(durations, t)
        last = first + torch.arange(1, durations + 1, device=device)[:, None]
        return torch.stack([first, last], dim=2) / t, last <= t

    def maps(self, batch: Batch) -> Tensor:
        """The overlap of every proposal with what it fits best, 0 beyond the end.  (n, d, t)"""
        places, valid = self.segments(batch.weights.device)
        places, none = places.flatten(0, 1), torch.zeros_like(valid, dtype=places.dtype).flatten()
        found = [segment_overlaps(places, one).amax(1) if len(one) else none for (one,) in batch.targets["segments"]]
        return torch.stack([best.view_as(valid) * valid for best in found])

    def boundaries(self, batch: Batch) -> Tensor:
        """Whether each position is a start, an end.  (n, 2, t)"""
        t = self.size[1]
        edges = (torch.arange(t + 1, device=batch.weights.device) - 0.5) / t
        reach = edges.new_tensor([-1, 1]) * BOUNDARY_POSITIONS / t / 2
        found = [
            torch.stack([regions_within(place[:, None] + reach, edges) for place in one.T])
            for (one,) in batch.targets["segments"]
        ]
        return torch.stack(found) > 0.5

    def amounts(self, batch: Batch) -> Tensor:
        """Starts, ends, positions; good, middling and bad proposals, sure and valid ones."""
        maps, edges = self.maps(batch), self.boundaries(batch).sum(2).float()
        valid = self.segments(maps.device)[1]
        counts = [*split_of(maps), maps > SURE, valid.expand_as(maps)]
        parts = torch.stack([one.flatten(1).sum(1).float() for one in counts], dim=1)
        return torch.cat([edges, edges.new_full((len(edges), 1), self.size[1]), parts], dim=1)

    def loss(self, outputs: dict[str, Tensor], batch: Batch, totals: Tensor) -> Tensor:
        maps, edges = self.maps(batch), self.boundaries(batch)
        valid = self.segments(maps.device)[1].float().expand_as(maps)
        losses = torch.zeros(len(maps), device=maps.device)
        for i, name in enumerate(("start", "end")):
            chances = outputs[name][:, 0]
            losses = losses + weighed_logs(chances, edges[:, i], torch.ones_like(chances), totals[i], totals[2])
        regressed, classified = outputs["proposals"][:, :, 0].unbind(1)
        sure = weighed_logs(classified, maps > SURE, valid, totals[6], totals[7])
        return losses + REGRESSION_WEIGHT * self.regression(regressed, maps, totals[3:6]) + sure

    def regression(self, said: Tensor, maps: Tensor, totals: Tensor) -> Tensor:
        """Half the squared error, good, middling and bad proposals alike; those that overlap nothing do not count."""
        high, middle, low = split_of(maps)
        shares = balanced_shares(totals, (1.0, 1.0))
        weights = high + shares[0] * middle + shares[1] * low
        whole = totals[0] + shares[0] * totals[1] + shares[1] * totals[2]
        return 0.5 * (weights * (said - maps) ** 2).flatten(1).sum(1) / whole.clamp(min=1)

    def detections(self, outputs: dict[str, Tensor]) -> list[Detections]:
        starts, ends = (outputs[name][:, 0].float().cpu() for name in ("start", "end"))
        maps = outputs["proposals"][:, :, 0].float().cpu().prod(1)
        return [matched(*three) for three in zip(starts, ends, maps)]

    def suppressed(self, found: Detections, whole: float) -> Detections:
        return BMN_SUPPRESSION.kept(found, whole, MOST_KEPT)


def split_of(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Good, middling and bad proposals."""
    return maps > HIGH, (maps <= HIGH) & (maps > LOW), (maps <= LOW) & (maps > 0)


def matched(starts: Tensor, ends: Tensor, scores: Tensor) -> Detections:
    """Proposals from a start that stands out to an end that does, scored by both and by the map.  (t,), (t,), (d, t)"""
    t, durations = len(starts), len(scores)
    pairs = torch.cartesian_prod(peaks(starts), peaks(ends))
    lengths = pairs[:, 1] - pairs[:, 0]
    pairs, lengths = (x[(lengths >= 1) & (lengths <= durations)] for x in (pairs, lengths))
    first, last = pairs.unbind(1)
    score = starts[first] * ends[last] * scores[lengths - 1, first]
    return Detections(pairs / t, score, torch.zeros(len(pairs), dtype=torch.long))
