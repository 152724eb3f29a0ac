"""Figures against slow plain definitions, by hand, and against torchmetrics where it counts the same."""

from __future__ import annotations

from itertools import pairwise
from math import isnan, nan

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multilabel_average_precision

from archdsl.errors import SpecError
from archdsl.training.evaluation import metrics
from archdsl.training.evaluation.scores import Scores, fuse_scores


def charades_ap(scores: list[float], labels: list[int]) -> float:
    """Charades_v1_classify.m, line by line: sort by -score (stable), precision at every positive, over positives."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    positives, ap, true, false = sum(labels), 0.0, 0, 0
    for i in order:
        true, false = true + labels[i], false + (1 - labels[i])
        if labels[i]:
            ap += true / (true + false)
    return ap / positives if positives else nan


tables = st.integers(1, 12).flatmap(
    lambda videos: st.tuples(
        st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=videos, max_size=videos),
        st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=videos, max_size=videos),
    )
)


@settings(max_examples=200, deadline=None)
@given(tables)
def test_average_precision_is_the_authors(table: tuple[list[list[int]], list[list[int]]]) -> None:
    scores, labels = torch.tensor(table[0]).float(), torch.tensor(table[1]).float()
    found = metrics.average_precisions(scores, labels).tolist()
    for i, ap in enumerate(found):
        want = charades_ap([row[i] for row in table[0]], [row[i] for row in table[1]])
        assert (isnan(ap) and isnan(want)) or ap == pytest.approx(want, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(tables)
def test_of_equal_scores_the_earlier_class_counts_everywhere(table: tuple[list[list[int]], list[list[int]]]) -> None:
    """Top-1, the confusion, and the best of each video, against sorted(): it is stable."""
    scores, labels = torch.tensor(table[0]).float(), torch.tensor(table[1]).float().argmax(1)
    order = [sorted(range(3), key=lambda i: -row[i]) for row in table[0]]
    made = Scores(tuple(map(str, range(len(scores)))), ("a", "b", "c"), False, scores, labels)
    for k in (1, 2):
        right = [label in best[:k] for best, label in zip(order, labels.tolist())]
        assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(sum(right) / len(right))
    assert metrics.confusion(scores, labels).diagonal().sum() == sum(b[0] == y for b, y in zip(order, labels.tolist()))
    assert [name for name, _ in made.best(0, 3)] == ["abc"[i] for i in order[0]]


def test_average_precision_by_hand() -> None:
    scores = torch.tensor([[0.9], [0.8], [0.7], [0.6]])
    assert metrics.average_precisions(scores, torch.tensor([[1.0], [0], [1], [0]])).item() == pytest.approx(
        (1 + 2 / 3) / 2
    )
    two = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    labels = torch.tensor([[0.0, 0], [1, 0], [0, 0]])
    assert metrics.mean_average_precision(two, labels) == pytest.approx(1 / 2)  # the second class has no video


def test_without_equal_scores_average_precision_is_that_of_torchmetrics() -> None:
    torch.manual_seed(0)
    scores, labels = torch.randperm(200 * 7).view(200, 7) / 1400, torch.randint(0, 2, (200, 7))
    theirs = multilabel_average_precision(scores, labels, num_labels=7, average="none")
    torch.testing.assert_close(metrics.average_precisions(scores, labels.float()).float(), theirs, rtol=0, atol=1e-6)
    tied, answers = torch.full((2, 2), 0.5), torch.tensor([[1, 0], [0, 1]])  # but not with: they take both together
    assert metrics.average_precisions(tied, answers.float()).tolist() == [1.0, 0.5]
    assert multilabel_average_precision(tied, answers, num_labels=2, average="none").tolist() == [0.5, 0.5]


def drawn(videos: int = 300, classes: int = 9) -> tuple[Tensor, Tensor]:
    dice = torch.Generator().manual_seed(1)
    return torch.rand(videos, classes, generator=dice), torch.randint(0, classes - 1, (videos,), generator=dice)


def test_accuracies_against_plain_counting_and_torchmetrics() -> None:
    scores, labels = drawn()
    for k in (1, 5):
        plain = sum(
            label in sorted(range(9), key=lambda c: -row[c])[:k] for row, label in zip(scores.tolist(), labels.tolist())
        )
        assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(plain / 300)
        theirs = multiclass_accuracy(scores, labels, num_classes=9, top_k=k, average="micro").item()
        assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(theirs, abs=1e-6)
    guesses = scores.argmax(1).tolist()
    shares = []
    for c in range(9):
        mine = [guess == c for guess, label in zip(guesses, labels.tolist()) if label == c]
        shares += [sum(mine) / len(mine)] if mine else []
    assert len(shares) == 8
    assert metrics.mean_class_accuracy(scores, labels) == pytest.approx(sum(shares) / 8)
    theirs = multiclass_accuracy(scores, labels, num_classes=9, average="macro").item()
    assert theirs == pytest.approx(sum(shares) / 9, abs=1e-6)  # the class without a video counts there


def test_fewer_classes_than_five() -> None:
    assert metrics.top_k_accuracy(torch.tensor([[0.1, 0.9]]), torch.tensor([0]), 5) == 1.0


def test_confusion_by_hand() -> None:
    scores = torch.eye(3)[torch.tensor([0, 1, 1, 2, 0])]
    labels = torch.tensor([0, 0, 1, 2, 2])
    assert metrics.confusion(scores, labels).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def some(names: str, scores: list[list[float]], labels: list[int], skipped: str = "") -> Scores:
    return Scores(tuple(names), ("a", "b"), False, torch.tensor(scores), torch.tensor(labels), skipped=tuple(skipped))


def test_per_class_by_hand() -> None:
    scores = Scores(tuple("pqr"), ("x", "y", "z"), False, torch.eye(3)[[0, 1, 1]], torch.tensor([0, 0, 1]))
    assert scores.per_class() == [
        {"class": "x", "videos": 2, "accuracy": 0.5, "taken_for": "y"},
        {"class": "y", "videos": 1, "accuracy": 1.0, "taken_for": None},
        {"class": "z", "videos": 0, "accuracy": None, "taken_for": None},
    ]
    assert scores.figures == pytest.approx({"top1": 2 / 3, "top5": 1.0, "mean_class": 0.75})
    assert scores.best(1, 2)[0] == ("y", 1.0)
    several = Scores(
        tuple("pq"), ("x", "y"), True, torch.tensor([[0.9, 0.1], [0.2, 0.3]]), torch.tensor([[1.0, 0], [0, 0]])
    )
    assert several.figures == {"map": 1.0}
    assert several.per_class() == [{"class": "x", "videos": 1, "ap": 1.0}, {"class": "y", "videos": 0, "ap": None}]


def test_fusion_is_the_weighted_average_by_name() -> None:
    rgb = some("pq", [[0.6, 0.4], [0.1, 0.9]], [1, 1])
    flow = some("qp", [[0.7, 0.3], [0.2, 0.8]], [1, 1])
    made = fuse_scores({"rgb": (rgb, 1.0), "flow": (flow, 1.5)})
    torch.testing.assert_close(made.scores, torch.tensor([[0.36, 0.64], [0.46, 0.54]]))
    assert made.names == ("p", "q")
    assert made.figures["top1"] == 1.0


def test_fusion_leaves_out_what_one_could_not_read() -> None:
    made = fuse_scores(
        {"rgb": (some("pq", [[1, 0], [0, 1]], [0, 1]), 1.0), "flow": (some("q", [[0, 1]], [1], "p"), 1.0)}
    )
    assert made.names == ("q",)
    assert made.skipped == ("p",)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (some("pr", [[1, 0], [0, 1]], [0, 1]), "tested on different videos"),
        (some("pq", [[1, 0], [0, 1]], [0, 0]), "have different labels"),
        (Scores(("p", "q"), ("a", "c"), False, torch.eye(2), torch.tensor([0, 1])), "have different classes"),
    ],
)
def test_fusion_of_what_does_not_belong_together_is_refused(other: Scores, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        fuse_scores({"rgb": (some("pq", [[1, 0], [0, 1]], [0, 1]), 1.0), "flow": (other, 1.0)})


def test_more_right_videos_never_lower_the_average_precision() -> None:
    labels = torch.tensor([[1.0], [0], [1], [0], [1]])
    tables = [torch.tensor([[5.0], [4], [3], [2], [last]]) for last in (1, 2.5, 4.5)]
    found = [metrics.average_precisions(table, labels).item() for table in tables]
    assert all(a < b for a, b in pairwise(found))
