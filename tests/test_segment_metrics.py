"""Figures of temporal localisation beside counts by hand, and beside slow ones written from what the tools define."""

from __future__ import annotations

from math import exp

import pytest
import torch
from torch import Tensor

from archdsl.training.evaluation.segment_metrics import (
    ACTIVITYNET_OVERLAPS,
    Detections,
    TrueSegments,
    activitynet_map,
    average_recall,
    segment_overlaps,
    thumos_map,
)
from archdsl.training.tasks.localisation.suppression import SoftSuppression, without_overlaps

Rows = list[tuple[float, float, float, int]]
Parts = list[tuple[float, float, int]]


def found(*rows: tuple[float, ...]) -> Detections:
    """Detections of (start, end, score), or with a class behind."""
    made = torch.tensor([row[:3] for row in rows], dtype=torch.float64).view(-1, 3)
    labels = torch.tensor([int(row[3]) if len(row) > 3 else 0 for row in rows], dtype=torch.long)
    return Detections(made[:, :2], made[:, 2], labels)


def there(*rows: tuple[float, ...], ambiguous: tuple[tuple[float, float], ...] = ()) -> TrueSegments:
    """Segments of (start, end), or with a class behind."""
    places = torch.tensor([row[:2] for row in rows], dtype=torch.float64).view(-1, 2)
    labels = torch.tensor([int(row[2]) if len(row) > 2 else 0 for row in rows], dtype=torch.long)
    return TrueSegments(places, labels, torch.tensor(ambiguous, dtype=torch.float64).view(-1, 2))


def tiou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    common = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - common
    return common / union if union > 0 else 0.0


def sorted_rows(found: dict[str, Rows], label: int) -> list[tuple[str, tuple[float, float, float, int]]]:
    """By score; of equal ones the last of the file first."""
    rows = [(name, row) for name, some in found.items() for row in some if row[3] == label]
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: (rows[i][1][2], i), reverse=True)]


def slow_activitynet(truth: dict[str, Parts], found: dict[str, Rows], bound: float) -> float:
    """The detection challenge: a detection takes the free segment that it overlaps most; the envelope's area."""
    aps = []
    for label in sorted({part[2] for parts in truth.values() for part in parts}):
        total = sum(part[2] == label for parts in truth.values() for part in parts)
        taken: set[tuple[str, int]] = set()
        points, hits = [], 0
        for n, (name, row) in enumerate(sorted_rows(found, label), 1):
            parts = [(tiou(row, part), i) for i, part in enumerate(truth.get(name, [])) if part[2] == label]
            for overlap, i in sorted(parts, reverse=True):
                if overlap >= bound and (name, i) not in taken:
                    taken.add((name, i))
                    hits += 1
                    break
            points.append((hits / total, hits / n))
        area, before = 0.0, 0.0
        for k, (recall, _) in enumerate(points):
            area += (recall - before) * max(p for _, p in points[k:])
            before = recall
        aps.append(area)
    return sum(aps) / len(aps)


def slow_thumos(truth: dict[str, Parts], found: dict[str, Rows], odd: dict[str, Parts], bound: float) -> float:
    """THUMOS'14: a segment takes the free detection that overlaps it most; precision as it is."""
    aps = []
    for label in sorted({part[2] for parts in truth.values() for part in parts}):
        total = sum(part[2] == label for parts in truth.values() for part in parts)
        rows = sorted_rows(found, label)
        right: set[int] = set()
        for name, parts in truth.items():
            for part in parts:
                if part[2] != label:
                    continue
                free = [
                    (tiou(row, part), -k) for k, (video, row) in enumerate(rows) if video == name and k not in right
                ]
                if free and max(free)[0] > bound:
                    right.add(-max(free)[1])
        area, hits, n = 0.0, 0, 0
        for k, (name, row) in enumerate(rows):
            if k not in right and any(tiou(row, one) > 0 for one in odd.get(name, [])):
                continue
            n += 1
            if k in right:
                hits += 1
                area += hits / n / total
        aps.append(area)
    return sum(aps) / len(aps)


def slow_recall(truth: dict[str, Parts], found: dict[str, Rows]) -> list[float]:
    """The proposal challenge: the same share of every video's proposals; any that overlaps finds a segment."""
    total, videos = sum(len(found.get(name, [])) for name in truth), len(truth)
    kept = {}
    for name in truth:
        rows = [row for _, row in sorted_rows({name: [(*row[:3], 0) for row in found.get(name, [])]}, 0)]
        kept[name] = rows[: min(int(len(rows) * (100.0 * videos / total)), len(rows))]
    number = sum(map(len, kept.values()))
    curve = []
    for k in range(1, 101):
        share = k / 100.0 * (100 * videos / number)
        recalls = []
        for bound in ACTIVITYNET_OVERLAPS:
            met = 0
            for name, parts in truth.items():
                first = kept[name][: min(int(len(kept[name]) * share), len(kept[name]))]
                met += sum(any(tiou(row, part) >= bound for row in first) for part in parts)
            recalls.append(met / sum(map(len, truth.values())))
        curve.append(sum(recalls) / len(recalls))
    return curve


def drawn(seed: int) -> tuple[dict[str, Parts], dict[str, Rows], dict[str, Parts]]:
    """Videos with and without segments and detections; equal scores, equal segments, segments without length."""
    rng = torch.Generator().manual_seed(seed)

    def number(most: int) -> int:
        return int(torch.randint(most, (), generator=rng))

    def part() -> tuple[float, float]:
        start, length = number(40) / 2, number(12) / 2
        return start, start + length

    names = [f"v{i}" for i in range(4)]
    truth = {name: [(*part(), number(3)) for _ in range(number(4))] for name in names}
    truth["v0"].append((1.0, 4.0, 0))
    rows = {name: [(*part(), number(6) / 5, number(3)) for _ in range(number(8))] for name in [*names[1:], "elsewhere"]}
    rows["v0"] = [(1.0, 4.0, 0.5, 0), (1.0, 3.5, 0.5, 0)]
    odd = {name: [(*part(), -1) for _ in range(number(2))] for name in names}
    return truth, rows, odd


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_the_definitions(seed: int) -> None:
    truth, rows, odd = drawn(seed)
    made = {name: there(*parts, ambiguous=tuple(one[:2] for one in odd[name])) for name, parts in truth.items()}
    detections = {name: found(*some) for name, some in rows.items()}
    bounds = (0.3, 0.5, 0.75)
    assert activitynet_map(made, detections, bounds).tolist() == pytest.approx(
        [slow_activitynet(truth, rows, bound) for bound in bounds]
    )
    assert thumos_map(made, detections, bounds).tolist() == pytest.approx(
        [slow_thumos(truth, rows, odd, bound) for bound in bounds]
    )
    recall = average_recall(made, detections)
    assert recall.recalls.tolist() == pytest.approx(slow_recall(truth, rows))
    assert recall.proposals.tolist() == pytest.approx(list(range(1, 101)))


def test_tools_differ_by_hand() -> None:
    truth = {"v": there((0, 10), (20, 30), ambiguous=((39, 46),))}
    rows = {"v": found((0, 7, 0.9), (1, 10, 0.8), (21, 29, 0.7), (40, 45, 0.6))}
    assert thumos_map(truth, rows, (0.5, 0.7, 0.8)).tolist() == pytest.approx([7 / 12, 7 / 12, 0.25])
    assert activitynet_map(truth, rows, (0.5, 0.7, 0.8)).tolist() == pytest.approx([5 / 6, 5 / 6, 2 / 3])


def test_average_recall_by_hand() -> None:
    truth = {"a": there((0, 4), (10, 20)), "b": there((5, 9))}
    rows = {"a": found((0, 5, 0.9), (9, 19, 0.8), (50, 60, 0.7)), "b": found((5, 8.5, 0.6), (0, 3, 0.5))}
    recall = average_recall(truth, rows)
    assert (recall.at(1), recall.at(100)) == pytest.approx((7 / 30, 22 / 30))
    assert recall.area == pytest.approx(0.7235, abs=1e-4)


def test_nothing_found_and_nothing_there() -> None:
    truth = {"a": there((0, 4)), "b": there()}
    none = {"a": found(), "b": found((0, 1, 0.5))}
    assert average_recall(truth, {}).area == 0
    assert average_recall(truth, none).area == 0
    assert activitynet_map(truth, none).tolist() == [0.0] * 10
    assert thumos_map(truth, none).tolist() == [0.0] * 5
    assert segment_overlaps(torch.zeros(0, 2), torch.tensor([[0.0, 1.0]])).shape == (0, 1)
    assert segment_overlaps(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]])).tolist() == [[0.0]]


def slow_soft_nms(
    rows: list[tuple[float, float, float]], alpha: float, low: float, high: float, most: int
) -> list[float]:
    """Take the best, lower what overlaps it by more than a bound that rises with its width; again."""
    left, kept = dict(enumerate(rows)), []
    while left and len(kept) < most:
        best = max(left, key=lambda i: (left[i][2], -i))
        start, end, score = left.pop(best)
        kept.append(score)
        for i, (s, e, other) in left.items():
            near = tiou((s, e), (start, end))
            if near > low + (high - low) * (end - start):
                left[i] = (s, e, other * exp(-(near**2) / alpha))
    return kept


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("given", [(0.75, 0.65, 0.9), (0.4, 0.5, 0.9)])
def test_soft_suppression_is_that_of_its_definition(seed: int, given: tuple[float, float, float]) -> None:
    rng = torch.Generator().manual_seed(seed)
    ends: Tensor = torch.rand(30, 2, generator=rng).double().sort(1).values
    ends = (ends * 20).round() / 20
    scores = torch.rand(30, generator=rng).double()
    rows = [(*pair, score) for pair, score in zip(ends.tolist(), scores.tolist())]
    made = SoftSuppression(*given).kept(Detections(ends, scores, torch.zeros(30, dtype=torch.long)), 1.0, 12)
    assert made.scores.tolist() == pytest.approx(slow_soft_nms(rows, *given, 12), rel=1e-5)
    assert len(SoftSuppression(*given).kept(found(), 1.0, 12).scores) == 0


def test_doubles_of_one_class_are_dropped() -> None:
    rows = found((0, 10, 0.5, 0), (0, 9, 0.9, 0), (0, 10, 0.4, 1), (20, 30, 0.1, 0), (0, 10, 0.3, 1))
    kept = without_overlaps(rows, 0.4, 10)
    assert [(round(score, 1), label) for score, label in zip(kept.scores.tolist(), kept.labels.tolist())] == [
        (0.9, 0),
        (0.4, 1),
        (0.1, 0),
    ]
    assert len(without_overlaps(rows, 0.4, 2).scores) == 2
