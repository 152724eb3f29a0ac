"""What a network says of videos: scores, the figures made of them, and what several networks say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from archdsl.errors import SpecError
from archdsl.training.evaluation import metrics


@dataclass(frozen=True)
class Scores:
    """Scores of every video that was read, in the order of the list."""

    classes: tuple[str, ...]
    several: bool
    """Whether a video may have several labels."""
    names: tuple[str, ...]
    scores: Tensor
    """(videos, classes), on the CPU"""
    labels: Tensor
    """(videos,), or (videos, classes) of 0 and 1"""
    skipped: tuple[str, ...] = ()
    """Videos that could not be read: they count nowhere."""
    tested: str = ""
    """Of a run's folder, which of its checkpoints was tested."""
    data: str = ""
    """What it was tested on, as `--data` takes it; empty for videos of Python."""

    @cached_property
    def figures(self) -> dict[str, float]:
        """`top1`, `top5` and `mean_class`; of several labels `map`."""
        if self.several:
            return {"map": metrics.mean_average_precision(self.scores, self.labels)}
        return {
            "top1": metrics.top(self.scores, self.labels, 1),
            "top5": metrics.top(self.scores, self.labels, 5),
            "mean_class": metrics.mean_class(self.scores, self.labels),
        }

    def in_columns(self, columns: Mapping[str, int]) -> Scores:
        """The scores of classes by name: first those that the videos have, in the order of their labels."""
        scores = self.scores[:, list(columns.values())]
        labels = pad(self.labels, (0, len(columns) - len(self.classes))) if self.several else self.labels
        return replace(self, classes=tuple(columns), scores=scores, labels=labels)

    def per_class(self) -> list[dict[str, Any]]:
        """For each class its videos, its accuracy or average precision (None without videos), its commonest mistake."""
        if self.several:
            figures, counts = metrics.average_precisions(self.scores, self.labels), self.labels.sum(0).long()
            mistakes = [None] * len(self.classes)
        else:
            matrix = metrics.confusion(self.scores, self.labels)
            figures, counts = metrics.recalls(self.scores, self.labels), matrix.sum(1)
            wrong = matrix - torch.diag(matrix.diagonal())
            mistakes = [self.classes[row.argmax()] if row.any() else None for row in wrong]
        return [
            {
                "class": name,
                "videos": int(count),
                "ap" if self.several else "accuracy": None if not count else figure.item(),
            }
            | ({} if self.several else {"taken_for": mistake})
            for name, count, figure, mistake in zip(self.classes, counts, figures, mistakes, strict=True)
        ]

    def best(self, row: int, count: int) -> list[tuple[str, float]]:
        """The likeliest classes of one video and their scores."""
        return best_of(self.scores[row], self.classes, count)


def best_of(scores: Tensor, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
    """The likeliest classes and their scores.  (classes,)"""
    return [(classes[i], scores[i].item()) for i in metrics.ranked(scores[None], count)[0].tolist()]


def fused(parts: Mapping[str, tuple[Scores, float]]) -> Scores:
    """The weighted average of several networks' scores of the same videos. Raises SpecError where they are not."""
    (first_name, (first, _)), *others = parts.items()
    for name, (other, _) in others:
        check_same(first_name, first, name, other)
    kept = [name for name in first.names if all(name in other.names for _, (other, _) in others)]
    if not kept:
        raise SpecError("no video that all networks could read", got=", ".join(parts), want="the same videos")
    total = sum(weight for _, weight in parts.values())
    picked = {name: rows_of(scores, kept) for name, (scores, _) in parts.items()}
    mean = sum((picked[name] * (weight / total) for name, (_, weight) in parts.items()), torch.zeros(()))
    places = [first.names.index(name) for name in kept]
    skipped = tuple(dict.fromkeys(name for scores, _ in parts.values() for name in scores.skipped))
    return replace(first, names=tuple(kept), scores=mean, labels=first.labels[places], skipped=skipped)


def rows_of(scores: Scores, names: list[str]) -> Tensor:
    """The scores of some videos, in that order."""
    place = {name: i for i, name in enumerate(scores.names)}
    return scores.scores[[place[name] for name in names]]


def check_same(name: str, one: Scores, other_name: str, other: Scores) -> None:
    """Raises SpecError for networks that were tested on other videos, labels or classes."""
    if one.classes != other.classes:
        odd = next((pair for pair in zip(one.classes, other.classes) if pair[0] != pair[1]), ("", ""))
        raise SpecError(
            f"{name} and {other_name} know other classes",
            got=f"{len(other.classes)} classes, {odd[1]!r} in place of {odd[0]!r}",
            want=f"the {len(one.classes)} classes of {name}",
        )
    known = dict(zip(one.names, one.labels))
    if not set(other.names) <= set(one.names) | set(one.skipped) or not set(one.names) <= set(other.names) | set(
        other.skipped
    ):
        odd_names = sorted(set(other.names) ^ set(one.names))[:3]
        raise SpecError(
            f"{name} and {other_name} were tested on other videos", got=", ".join(odd_names), want="the same"
        )
    for video, label in zip(other.names, other.labels):
        if video in known and not torch.equal(known[video], label):
            raise SpecError(
                f"{name} and {other_name} have other labels", at=video, got=str(label), want=str(known[video])
            )
