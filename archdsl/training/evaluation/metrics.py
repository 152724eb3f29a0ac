"""What benchmarks count. Scores are (videos, classes), the larger the likelier."""

from __future__ import annotations

import torch
from torch import Tensor


def ranked(scores: Tensor, k: int) -> Tensor:
    """The k likeliest classes, of equal scores the earlier class first.  (n, classes) -> (n, k)"""
    return scores.argsort(dim=1, descending=True, stable=True)[:, :k]


def top(scores: Tensor, labels: Tensor, k: int) -> float:
    """Share of videos whose class is among the k best (Kinetics, Something-Something).  (n, classes), (n,)"""
    return (ranked(scores, k) == labels[:, None]).any(1).double().mean().item()


def recalls(scores: Tensor, labels: Tensor) -> Tensor:
    """Each class's share of right videos; NaN for classes without a video.  (classes,)"""
    counts = confusion(scores, labels).double()
    return counts.diagonal() / counts.sum(1)


def mean_class(scores: Tensor, labels: Tensor) -> float:
    """Mean class accuracy: of the classes that have videos, the average share of right ones.

    torchmetrics' macro accuracy also counts classes that have no video but were answered.
    """
    return recalls(scores, labels).nanmean().item()


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """How often a class (row) was taken for a class (column).  (classes, classes)"""
    classes = scores.shape[1]
    pairs = labels * classes + ranked(scores, 1)[:, 0]
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
