"""How well segments of videos are found, as the tools of ActivityNet and THUMOS'14 count it. Segments are (start, end).

Each tool has its own rule for which detection finds which segment; they share no function but the overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.training.data.annotations.time_segments import TrueSegments

ACTIVITYNET_OVERLAPS = tuple(0.5 + 0.05 * i for i in range(10))
"""0.50, 0.55, ..., 0.95: a segment is found from there on."""
THUMOS_OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""A segment is found above."""
MOST_PROPOSALS = 100
"""Of a video on average."""


class Detections(NamedTuple):
    """Segments of one video with their scores, as a network found them."""

    segments: Tensor
    """(n, 2) in seconds"""
    scores: Tensor
    """(n,)"""
    labels: Tensor
    """(n,) classes; of proposals 0"""

    def of(self, places: Tensor) -> Detections:
        """Some of them."""
        return Detections(self.segments[places], self.scores[places], self.labels[places])

    def by_score(self) -> Detections:
        """The best first; of equal ones the last, as a reversed argsort has it."""
        return self.of(self.scores.argsort(stable=True).flip(0))


def segment_overlaps(ones: Tensor, others: Tensor) -> Tensor:
    """Intersection over union along time; 0 of two without length.  (n, 2), (k, 2) -> (n, k)"""
    common = torch.minimum(ones[:, None, 1], others[None, :, 1]) - torch.maximum(ones[:, None, 0], others[None, :, 0])
    common = common.clamp(min=0)
    union = (ones[:, 1] - ones[:, 0])[:, None] + (others[:, 1] - others[:, 0])[None] - common
    return torch.where(union > 0, common / union, 0)


class AverageRecall(NamedTuple):
    """Recall, averaged over overlaps, against the average number of proposals of a video."""

    recalls: Tensor
    """(100,)"""
    proposals: Tensor
    """(100,) from 1 to 100, or what there were"""

    def at(self, number: int) -> float:
        """The recall with so many proposals of a video, the first that are no fewer; the last where there are."""
        place = int(torch.searchsorted(self.proposals, number - 1e-6).clamp(max=len(self.proposals) - 1))
        return float(self.recalls[place])

    @property
    def area(self) -> float:
        """Under the curve, as a share of its width."""
        return float(torch.trapezoid(self.recalls, self.proposals) / self.proposals[-1])


def average_recall(truth: Mapping[str, TrueSegments], found: Mapping[str, Detections]) -> AverageRecall:
    """ActivityNet's proposal task: a segment is found by any proposal that overlaps it; classes do not count.

    Of each video the same share of its proposals is taken, so that there are 1 to 100 of a video on average. A video
    without proposals is missed.
    """
    total = sum(len(found[name].scores) for name in truth if name in found)
    if not total:
        none = torch.zeros(MOST_PROPOSALS, dtype=torch.float64)
        return AverageRecall(none, torch.arange(1, MOST_PROPOSALS + 1, dtype=torch.float64))
    ratio = MOST_PROPOSALS * len(truth) / total
    tables, kept = [], 0
    for name, one in truth.items():
        proposals = found[name].by_score().segments.double() if name in found else torch.zeros(0, 2).double()
        if not len(proposals):
            tables.append(torch.zeros(1, len(one.segments), dtype=torch.float64))
            continue
        proposals = proposals[: min(int(len(proposals) * ratio), len(proposals))]
        kept += len(proposals)
        tables.append(segment_overlaps(proposals, one.segments.double()))
    shares = (
        torch.arange(1, MOST_PROPOSALS + 1, dtype=torch.float64) / 100.0 * (MOST_PROPOSALS * len(truth) / max(kept, 1))
    )
    recalls = torch.stack([recall_curve(tables, shares, least) for least in ACTIVITYNET_OVERLAPS])
    return AverageRecall(recalls.mean(0), shares * (kept / len(truth)))


def recall_curve(tables: Sequence[Tensor], shares: Tensor, least: float) -> Tensor:
    """The share of all segments that are found by the first proposals of each video.  (proposals, segments) each"""
    matched = torch.zeros(len(shares), dtype=torch.float64)
    for table in tables:
        first = (table >= least).cumsum(0) > 0  # (proposals, segments): found by these or one before
        counts = torch.cat([torch.zeros(1), first.sum(1)]).double()
        matched += counts[(table.shape[0] * shares).long().clamp(max=table.shape[0])]
    return matched / max(sum(table.shape[1] for table in tables), 1)


def activitynet_map(
    truth: Mapping[str, TrueSegments],
    found: Mapping[str, Detections],
    least: Sequence[float] = ACTIVITYNET_OVERLAPS,
) -> Tensor:
    """Average precision at each overlap, the mean over the classes that there are.  (overlaps,)

    A detection finds the segment of its video that it overlaps most of those still free; precision is made monotone.
    """
    classes = sorted({int(label) for one in truth.values() for label in one.labels})
    return torch.stack([activitynet_ap(truth, found, label, least) for label in classes]).mean(0)


def activitynet_ap(
    truth: Mapping[str, TrueSegments], found: Mapping[str, Detections], label: int, least: Sequence[float]
) -> Tensor:
    """Average precision of one class at each overlap.  (overlaps,)"""
    wanted = {name: one.segments[one.labels == label].double() for name, one in truth.items()}
    total = sum(map(len, wanted.values()))
    rows = ranked(found, label)
    tables = {name: segment_overlaps(rows.segments[rows.of_video(name)], one) for name, one in wanted.items()}
    precisions = []
    for bound in least:
        free = {name: [True] * len(one) for name, one in wanted.items()}
        met = dict.fromkeys(wanted, 0)
        right = []
        for name in rows.videos:
            if name not in wanted:
                right.append(False)
                continue
            row = tables[name][met[name]]
            met[name] += 1
            takes = [i for i in row.argsort(stable=True).flip(0).tolist() if row[i] >= bound and free[name][i]]
            right.append(bool(takes))
            if takes:
                free[name][takes[0]] = False
        precisions.append(area_under_envelope(torch.tensor(right, dtype=torch.float64), total))
    return torch.tensor(precisions, dtype=torch.float64)


class RankedDetections(NamedTuple):
    """The detections of one class in all videos, the best first."""

    segments: Tensor
    videos: list[str]

    def of_video(self, name: str) -> Tensor:
        """Which are of a video."""
        return torch.tensor([video == name for video in self.videos], dtype=torch.bool)


def ranked(found: Mapping[str, Detections], label: int) -> RankedDetections:
    """The detections of a class in all videos; of equal scores the last comes first."""
    rows = {name: one.of(one.labels == label) for name, one in found.items()}
    videos = [name for name, one in rows.items() for _ in one.scores]
    if not videos:
        return RankedDetections(torch.zeros(0, 2, dtype=torch.float64), [])
    segments = torch.cat([one.segments for one in rows.values()]).double()
    order = torch.cat([one.scores for one in rows.values()]).argsort(stable=True).flip(0)
    return RankedDetections(segments[order], [videos[i] for i in order.tolist()])


def area_under_envelope(right: Tensor, total: int) -> float:
    """Precision made monotone from the right, over recall. `right` says which detections find one of `total`."""
    if not total or not len(right):
        return 0.0
    hits = right.cumsum(0)
    precision = hits / torch.arange(1, len(right) + 1)
    precision = precision.flip(0).cummax(0).values.flip(0)
    return float((precision * right).sum() / total)


def thumos_map(
    truth: Mapping[str, TrueSegments], found: Mapping[str, Detections], least: Sequence[float] = THUMOS_OVERLAPS
) -> Tensor:
    """Average precision at each overlap, the mean over the classes that there are.  (overlaps,)

    Each segment, in the order of the file, is found by the free detection of its video that overlaps it most, by more
    than the bound. Precision is as it is; what finds nothing and touches an ambiguous segment is left out.
    """
    classes = sorted({int(label) for one in truth.values() for label in one.labels})
    return torch.stack([thumos_ap(truth, found, label, least) for label in classes]).mean(0)


def thumos_ap(
    truth: Mapping[str, TrueSegments], found: Mapping[str, Detections], label: int, least: Sequence[float]
) -> Tensor:
    """Average precision of one class at each overlap.  (overlaps,)"""
    total = sum(int((one.labels == label).sum()) for one in truth.values())
    rows = ranked(found, label)
    precisions = []
    for bound in least:
        right, counted = torch.zeros(len(rows.videos)), torch.ones(len(rows.videos), dtype=torch.bool)
        for name, one in truth.items():
            mine = rows.of_video(name).nonzero().flatten()
            table = segment_overlaps(rows.segments[mine], one.segments[one.labels == label].double())
            free = torch.ones(len(mine), dtype=torch.bool)
            for column in table.unbind(1):
                best = torch.where(free, column, -1).argmax() if len(mine) else None
                if best is not None and free[best] and column[best] > bound:
                    free[best] = False
            right[mine] = (~free).float()
            touched = (segment_overlaps(rows.segments[mine], one.ambiguous.double()) > 0).any(1)
            counted[mine] = ~(free & touched)
        precisions.append(mean_precision(right[counted].double(), total))
    return torch.tensor(precisions, dtype=torch.float64)


def mean_precision(right: Tensor, total: int) -> float:
    """The sum of the precisions at which one of `total` is found, over all."""
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    return float((precision * right).sum() / total) if total else 0.0
