"""Losses of classes: one label or several, weighted, softened, or taught by another network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax

from archdsl.language.recipes.recipe import Recipe


def clip_losses(scores: Tensor, labels: Tensor, recipe: Recipe, weights: Tensor | None = None) -> Tensor:
    """The loss of each clip, the mean over positions where scores have any.  (n, classes, ...) -> (n,)

    Labels are (n,) classes or (n, classes) shares of the clip, or have the positions too; `weights` are of classes.
    """
    scores = scores.float()
    if recipe.loss == "binary":
        spread = labels * (1 - recipe.smoothing) + recipe.smoothing / 2
        spread = spread if spread.ndim == scores.ndim else spread[..., None].expand_as(scores)
        by_class = None if weights is None else of_classes(weights, scores)
        losses = binary_cross_entropy_with_logits(scores, spread, by_class, reduction="none").mean(1)
    else:
        labels = at_positions(labels, scores)
        losses = cross_entropy(scores, labels, weights, reduction="none", label_smoothing=recipe.smoothing)
    return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


def of_classes(weights: Tensor, scores: Tensor) -> Tensor:
    """Weights of classes for scores.  (classes,) -> (classes, 1, ...)"""
    return weights.view(-1, *[1] * (scores.ndim - 2))


def at_positions(labels: Tensor, scores: Tensor) -> Tensor:
    """Labels of a clip at each position of its scores.  (n,) or (n, classes) -> (n, t) or (n, classes, t)"""
    if scores.ndim == 2 or labels.ndim == scores.ndim or (labels.ndim == 2 and not labels.is_floating_point()):
        return labels
    return labels[..., None].expand(*labels.shape, scores.shape[-1])


def clip_amounts(labels: Tensor, weights: Tensor | None) -> Tensor:
    """How much each clip counts: 1, or the weight of its class, as torch's weighted mean divides by.  (n,)"""
    if weights is None:
        return labels.new_ones(len(labels), dtype=torch.float32)
    if not labels.is_floating_point():
        found = weights[labels]
        return found.mean(1) if found.ndim > 1 else found
    return labels @ weights


def taught_losses(scores: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """How far scores are from a teacher's, both softened (arXiv:1503.02531): T^2 KL(teacher || student).  -> (n,)"""
    soft = log_softmax(scores.float() / temperature, dim=1)
    goal = log_softmax(taught.float() / temperature, dim=1)
    apart = kl_div(soft, goal, reduction="none", log_target=True).sum(1)
    return temperature**2 * (apart.flatten(1).mean(1) if apart.ndim > 1 else apart)


def balanced_weights(counts: list[int]) -> Tensor:
    """A weight for each class, in inverse proportion to its videos, 1 on average over videos.  (classes,)"""
    found = [0.0 if not count else sum(counts) / (sum(map(bool, counts)) * count) for count in counts]
    return torch.tensor(found)
