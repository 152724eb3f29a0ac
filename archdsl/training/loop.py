"""The loop: from the first step to the last, in the order it happens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from archdsl.language.recipe import Recipe
from archdsl.training.clips import Clips, indices_at

Log = Callable[[int, float], None]
"""Told the number of steps done and the loss of the last one."""


def train(network: nn.Module, recipe: Recipe, clips: Clips, log: Log = lambda step, loss: None) -> None:
    """Train a network in place, on the device it is on. Equal seeds give equal weights on one machine."""
    torch.manual_seed(recipe.seed)
    device = device_of(network)
    optimizer = SGD(groups(network, recipe.weight_decay), lr=recipe.rate, momentum=recipe.momentum, nesterov=True)
    network.train()
    for step in range(recipe.steps):
        set_rate(optimizer, recipe.rate_at(step))
        views, labels = clips.batch(indices_at(step, recipe.batch, len(clips), recipe.seed))
        loss = cross_entropy(network(views.to(device)), labels.to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % recipe.log_every == 0 or step + 1 == recipe.steps:
            log(step + 1, loss.item())  # .item() waits for the GPU: only here


@torch.no_grad()
def evaluate(network: nn.Module, clips: Clips, batch: int = 32) -> dict[str, float]:
    """The shares of clips whose class is the first guess (`top1`) and among the first five (`top5`)."""
    device = device_of(network)
    network.eval()
    hits = torch.zeros(2)
    for first in range(0, len(clips), batch):
        views, labels = clips.batch(range(first, min(first + batch, len(clips))))
        scores = network(views.to(device)).cpu()
        guesses = scores.topk(min(5, scores.shape[1])).indices == labels[:, None]
        hits += torch.stack((guesses[:, 0].sum(), guesses.sum()))
    top1, top5 = (hits / len(clips)).tolist()
    return {"top1": top1, "top5": top5}


def groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with weight decay and, for norms and biases, without."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device
