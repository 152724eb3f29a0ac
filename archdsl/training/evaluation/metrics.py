"""Metrics of benchmarks. Scores are (videos, classes)."""

from __future__ import annotations

import torch
from torch import Tensor


def top_classes(scores: Tensor, k: int) -> Tensor:
    """The top k classes; of equal scores the earlier class first.  (n, classes) -> (n, k)"""
    return scores.argsort(dim=1, descending=True, stable=True)[:, :k]


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int) -> float:
    """Share of videos whose class is among the k best (Kinetics, Something-Something).  (n, classes), (n,)"""
    return (top_classes(scores, k) == labels[:, None]).any(1).double().mean().item()


def class_recalls(scores: Tensor, labels: Tensor) -> Tensor:
    """Recall of each class; NaN for classes without a video.  (classes,)"""
    counts = confusion(scores, labels).double()
    return counts.diagonal() / counts.sum(1)


def mean_class_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Mean class accuracy: of the classes that have videos, the average share of right ones.

    torchmetrics' macro accuracy also counts classes that have no video but were answered.
    """
    return class_recalls(scores, labels).nanmean().item()


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """Confusion matrix: true class (row), predicted class (column).  (classes, classes)"""
    classes = scores.shape[1]
    pairs = labels * classes + top_classes(scores, 1)[:, 0]
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def average_precisions(scores: Tensor, labels: Tensor) -> Tensor:
    """Each class's average precision as Charades defines it; NaN for classes without a video.  -> (classes,)

    Precision at each right video, in the order of scores, averaged over them: no interpolation, and of equal scores the
    earlier video first (Charades_v1_classify.m). torchmetrics and scikit-learn take equal scores together.
    """
    order = scores.argsort(dim=0, descending=True, stable=True)
    right = labels.gather(0, order).double()
    ranks = torch.arange(1, len(scores) + 1, dtype=torch.double, device=scores.device)[:, None]
    return (right.cumsum(0) / ranks * right).sum(0) / right.sum(0)


def mean_average_precision(scores: Tensor, labels: Tensor) -> float:
    """The mean of the classes that have videos (Charades; there all 157 do).  (n, classes), (n, classes) of 0 and 1"""
    return average_precisions(scores, labels).nanmean().item()
