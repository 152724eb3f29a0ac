"""Scores of videos, their metrics, and the fusion of several networks' scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from archdsl.errors import SpecError
from archdsl.report.confusion import classes_svg, classes_table, confusion_svg, confusion_table
from archdsl.report.table.formats import records_csv
from archdsl.training.evaluation import metrics
from archdsl.training.evaluation.results import Results


@dataclass(frozen=True)
class Scores(Results):
    """Scores of every video that was read, in the order of the list."""

    classes: tuple[str, ...]
    multi_label: bool
    """Whether a video may have several labels."""
    scores: Tensor
    """(videos, classes), on the CPU"""
    labels: Tensor
    """(videos,), or (videos, classes) of 0 and 1"""

    @cached_property
    def figures(self) -> dict[str, float]:
        """`top1`, `top5` and `mean_class`; of several labels `map`."""
        if self.multi_label:
            return {"map": metrics.mean_average_precision(self.scores, self.labels)}
        return {
            "top1": metrics.top_k_accuracy(self.scores, self.labels, 1),
            "top5": metrics.top_k_accuracy(self.scores, self.labels, 5),
            "mean_class": metrics.mean_class_accuracy(self.scores, self.labels),
        }

    def in_columns(self, columns: Mapping[str, int]) -> Scores:
        """The scores with columns reordered by class name, the videos' own classes first."""
        scores = self.scores[:, list(columns.values())]
        labels = pad(self.labels, (0, len(columns) - len(self.classes))) if self.multi_label else self.labels
        return replace(self, classes=tuple(columns), scores=scores, labels=labels)

    def per_class(self) -> list[dict[str, Any]]:
        """Each class: its videos, accuracy or average precision (None without videos), commonest confusion."""
        if self.multi_label:
            figures, counts = metrics.average_precisions(self.scores, self.labels), self.labels.sum(0).long()
            mistakes = [None] * len(self.classes)
        else:
            matrix = metrics.confusion(self.scores, self.labels)
            figures, counts = metrics.class_recalls(self.scores, self.labels), matrix.sum(1)
            wrong = matrix - torch.diag(matrix.diagonal())
            mistakes = [self.classes[row.argmax()] if row.any() else None for row in wrong]
        return [
            {
                "class": name,
                "videos": int(count),
                "ap" if self.multi_label else "accuracy": None if not count else figure.item(),
            }
            | ({} if self.multi_label else {"taken_for": mistake})
            for name, count, figure, mistake in zip(self.classes, counts, figures, mistakes, strict=True)
        ]

    def lines(self) -> Iterator[dict[str, Any]]:
        """For every video its true classes and its top 5."""
        for row, name in enumerate(self.names):
            label = self.labels[row]
            true = label.nonzero().flatten().tolist() if self.multi_label else [int(label)]
            best = [{"class": found, "score": score} for found, score in self.best(row, 5)]
            yield {"name": name, "classes": [self.classes[i] for i in true], "best": best}

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """classes.* and confusion.* as picture and table."""
        rows = self.per_class()
        yield "classes.csv", records_csv(classes_table(rows))
        yield "classes.svg", classes_svg(rows, title)
        if not self.multi_label:
            matrix = metrics.confusion(self.scores, self.labels).tolist()
            yield "confusion.csv", records_csv(confusion_table(self.classes, matrix))
            yield "confusion.svg", confusion_svg(self.classes, matrix, title)

    def best(self, row: int, count: int) -> list[tuple[str, float]]:
        """The top classes of one video and their scores."""
        return top_scores(self.scores[row], self.classes, count)


def top_scores(scores: Tensor, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
    """The top classes and their scores.  (classes,)"""
    return [(classes[i], scores[i].item()) for i in metrics.top_classes(scores[None], count)[0].tolist()]


def fuse_scores(parts: Mapping[str, tuple[Scores, float]]) -> Scores:
    """Weighted average of several networks' scores. Raises SpecError where videos, labels or classes differ."""
    (first_name, (first, _)), *others = parts.items()
    for name, (other, _) in others:
        check_comparable(first_name, first, name, other)
    kept = [name for name in first.names if all(name in other.names for _, (other, _) in others)]
    if not kept:
        raise SpecError("no video was read by all networks", got=", ".join(parts), want="the same videos")
    total = sum(weight for _, weight in parts.values())
    picked = {name: rows_for(scores, kept) for name, (scores, _) in parts.items()}
    mean = sum((picked[name] * (weight / total) for name, (_, weight) in parts.items()), torch.zeros(()))
    places = [first.names.index(name) for name in kept]
    skipped = tuple(dict.fromkeys(name for scores, _ in parts.values() for name in scores.skipped))
    return replace(first, names=tuple(kept), scores=mean, labels=first.labels[places], skipped=skipped)


def rows_for(scores: Scores, names: list[str]) -> Tensor:
    """The scores of some videos, in the order of `names`."""
    place = {name: i for i, name in enumerate(scores.names)}
    return scores.scores[[place[name] for name in names]]


def check_comparable(name: str, one: Scores, other_name: str, other: Scores) -> None:
    """Raises SpecError for networks tested on different videos, labels or classes."""
    if one.classes != other.classes:
        odd = next((pair for pair in zip(one.classes, other.classes) if pair[0] != pair[1]), ("", ""))
        raise SpecError(
            f"{name} and {other_name} have different classes",
            got=f"{len(other.classes)} classes, {odd[1]!r} in place of {odd[0]!r}",
            want=f"the {len(one.classes)} classes of {name}",
        )
    known = dict(zip(one.names, one.labels))
    if not set(other.names) <= set(one.names) | set(one.skipped) or not set(one.names) <= set(other.names) | set(
        other.skipped
    ):
        odd_names = sorted(set(other.names) ^ set(one.names))[:3]
        raise SpecError(
            f"{name} and {other_name} were tested on different videos", got=", ".join(odd_names), want="the same"
        )
    for video, label in zip(other.names, other.labels):
        if video in known and not torch.equal(known[video], label):
            raise SpecError(
                f"{name} and {other_name} have different labels", at=video, got=str(label), want=str(known[video])
            )


def check_finite(scores: Mapping[str, Tensor]) -> None:
    """Raises SpecError where some scores are not finite."""
    odd = [name for name, rows in scores.items() if not rows.isfinite().all()]
    if odd:
        raise SpecError(
            "scores are not finite",
            got=f"{len(odd)} of {len(scores)} videos: {', '.join(odd[:3])}",
            want="finite scores",
            fix="use other weights, or recipe.precision: fp32",
        )
