"""The loop: from the first step to the last, in the order it happens."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from archdsl.training.batches import split_batch
from archdsl.training.data.clips import Batch
from archdsl.training.network_setup import gradient_sync
from archdsl.training.optimizer import set_rate
from archdsl.training.precision import autocast_of
from archdsl.training.processes import sum_over_processes
from archdsl.training.run import Run
from archdsl.training.state.snapshot import TrainState


def train_loop(state: TrainState, wrapped: nn.Module, run: Run, feed: Iterator[Batch]) -> None:
    """Every step from the state's on. `wrapped` is the state's network as the processes share it."""
    network, optimizer, scaler = state.network, state.optimizer, state.scaler
    recipe, world = run.recipe, run.world
    for step in range(state.step, run.steps):
        if run.out_of_patience(state):
            break
        rate = recipe.rate_at(step, run.count)
        set_rate(optimizer, rate)
        with run.meter.waiting():
            batch = next(feed)
        torch.manual_seed(seed_of(recipe.seed, step, world.rank))
        totals = sum_over_processes(readable_sum(batch.weights, run.task.amounts(batch))).clamp(min=1)
        loss = torch.zeros((), device=world.device)
        for part, last in split_batch(batch, recipe.optimizer.accumulate):
            with gradient_sync(wrapped, last):
                with autocast_of(recipe, world.device):
                    losses = run.task.loss(wrapped(run.task.inputs(part.clips, part)), part, totals)
                share = readable_sum(part.weights, losses)
                # processes take the mean of their gradients, and torch's backward is untyped
                scaler.scale(share * world.size).backward()
            loss += share.detach()
        scaler.unscale_(optimizer)
        if recipe.optimizer.clip:
            clip_grad_norm_(network.parameters(), recipe.optimizer.clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if state.average:
            state.average.update()
        state.step = step + 1
        run.record_step(loss, batch)
        stopping = run.stop_requested()
        if run.due("log") or stopping:
            run.log(state, rate)
        if run.due("evaluate"):
            run.test(state)
        if run.due("save") or stopping:
            run.save(state)
        if stopping:
            break


def seed_of(*parts: object) -> int:
    """A seed that stands for several values: torch's generator keeps 64 bits of it."""
    return Random(" ".join(map(str, parts))).getrandbits(63)


def readable_sum(weights: Tensor, numbers: Tensor) -> Tensor:
    """The sum over readable clips.  (n,), (n, ...) -> (...)"""
    return torch.where(weights.view(-1, *[1] * (numbers.ndim - 1)) > 0, numbers, 0).sum(0)
