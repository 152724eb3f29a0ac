"""A run: its data, progress and logging. The loop decides when; the actions are here."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.figures import is_better, ranked_by
from archdsl.report.memory.report import Memory
from archdsl.training.batches import beside_the_step, split_batch, train_batches
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.device_memory import ViewsMemory
from archdsl.training.evaluation.views import VIEWS_PER_BATCH, judge_videos
from archdsl.training.log.meters import DATA_BOUND, Meter
from archdsl.training.log.progress import Progress
from archdsl.training.network_setup import broadcast_buffers
from archdsl.training.norms import precise_statistics, train_mode
from archdsl.training.passes import AsTested, testing_copy
from archdsl.training.precision import autocast_of
from archdsl.training.processes import World, any_process, gather_objects, sum_over_processes
from archdsl.training.state.checkpoints import checkpoints_in, prune, save_checkpoint
from archdsl.training.state.records import (
    BestEvaluation,
    CheckpointFacts,
    Identity,
    LogEntry,
    LoweredFrom,
    WeightsOrigin,
)
from archdsl.training.state.run_folder import RunFolder
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.state.snapshot import TrainState
from archdsl.training.tasks.base import Task

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Run:
    """Training of one arch by one recipe for one task in one folder. What `train` returns."""

    task: Task
    plan: Plan
    recipe: Recipe
    folder: RunFolder
    world: World
    network: nn.Module
    memory: Memory
    """Predicted memory of a step in a process, and what is recomputed in backward."""
    videos: Videos
    tests: Videos
    skips: SkippedVideos
    test_skips: SkippedVideos
    meter: Meter
    progress: Progress
    identity: Identity
    """What a checkpoint must agree on."""
    workers: int
    lowered: list[LoweredFrom]
    """The passes it was trained with, from which steps on."""
    origin: WeightsOrigin | None = None
    """Its initial weights; None where they were random."""
    data: str | None = None
    """The argument of `--data`; None for a Python object."""
    figures: dict[str, float] = field(default_factory=dict)
    """Of the last evaluation: top1, top5..."""
    stopped: bool = False
    """Whether a signal ended it before its last step."""
    step: int = 0
    signal: int = 0
    """Number of the signal received: SIGTERM or SIGINT; 0 for none."""
    losses: list[Tensor] = field(default_factory=list)
    """Of this process, one per step since the last log."""
    names: list[Sequence[str]] = field(default_factory=list)
    seen: Sequence[str] = ()
    """Names of this process's clips in the last step."""
    warned: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    """Unreadable videos of all processes, and why; known at the end."""

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def count(self) -> int:
        """Videos of an epoch."""
        return len(self.videos)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.recipe.steps_for(self.count)

    def due(self, what: str) -> bool:
        """Whether to `log`, `evaluate` or `save` now: all three at the last step; an evaluation is also saved."""
        step, recipe = self.step, self.recipe
        if step == self.steps:
            return True
        if what == "log":
            return step % recipe.log_every == 0
        return recipe.evaluates_after(step, self.count) or (what == "save" and step % recipe.save_every == 0)

    def record_step(self, loss: Tensor, batch: Batch) -> None:
        """Count a step. Its loss is not read yet: that would wait for the GPU."""
        self.step += 1
        self.losses.append(loss)
        self.names.append(batch.names)
        self.seen = batch.names
        self.meter.add_step(len(batch.weights))
        self.progress.advance(self.step)

    def out_of_patience(self, state: TrainState) -> bool:
        """Whether as many evaluations as the recipe's `patience` were not better than the best one."""
        best, done, recipe = state.best, state.step, self.recipe
        if not recipe.patience or best is None or not recipe.evaluates_after(done, self.count):
            return False
        since = sum(recipe.evaluates_after(step, self.count) for step in range(best.step + 1, done + 1))
        if since >= recipe.patience:
            self.progress.say(f"stopped at step {done}: no evaluation was better than that of step {best.step}")
        return since >= recipe.patience

    def stop_requested(self) -> bool:
        """Whether any process received SIGTERM or Ctrl-C."""
        self.stopped = any_process(self.signal > 0) and self.step < self.steps
        return self.stopped

    def log(self, state: TrainState, rate: float) -> None:
        """Log loss of the last step, rate and speed. Raises SpecError where a loss is not finite."""
        losses = self.checked_losses()
        speed = self.meter.read()
        epoch = round(self.step * self.recipe.batch / self.count, 4)
        self.folder.log(LogEntry(step=self.step, epoch=epoch, loss=losses[-1], rate=rate, **speed))
        self.progress.log(self.step, losses[-1], rate, speed)
        if speed["waiting"] > DATA_BOUND and not self.warned and self.step > self.recipe.log_every:
            self.warned = True
            self.progress.warn(
                f"data loading is the bottleneck: {speed['waiting']:.0%} of the time is spent waiting for clips",
                f"use more --workers than {self.workers}, smaller files (archdsl data --help), or less augmentation",
            )

    def checked_losses(self) -> list[float]:
        """The losses since the last log, over all processes. Raises SpecError for NaN and infinities."""
        mine = torch.stack(self.losses)
        losses: list[float] = sum_over_processes(mine.clone()).tolist()
        names, first = self.names, self.step - len(losses)
        self.losses, self.names = [], []
        for i, loss in enumerate(losses):
            if not torch.isfinite(torch.tensor(loss)):
                seen = [name for part in gather_objects(() if mine[i].isfinite() else tuple(names[i])) for name in part]
                raise self.not_finite(first + i + 1, f"the loss is {loss}", seen)
        return losses

    def check_finite(self, state: TrainState) -> None:
        """Raises SpecError where a loss, or a tensor of the checkpoint, is not finite."""
        if self.losses:
            self.checked_losses()
        odd = sorted({name for part in gather_objects(state.not_finite()) for name in part})
        if odd:
            seen = [name for part in gather_objects(tuple(self.seen)) for name in part]
            raise self.not_finite(self.step, f"{odd[0]} is not finite", seen)

    def not_finite(self, step: int, what: str, names: list[str]) -> SpecError:
        """The error of a step whose loss or weights are not finite: the step, its clips, the checkpoint before it."""
        last = checkpoints_in(self.path)
        kept = f"{last[-1]} is kept; " if last else ""
        return SpecError(
            f"{what} at step {step}",
            at=f"step {step}",
            got=", ".join(names),
            want="finite numbers",
            fix=f"{kept}lower recipe.optimizer.rate, set recipe.optimizer.clip, or check these clips",
        )

    def test(self, state: TrainState) -> None:
        """Evaluate the network, with averaged weights where the recipe keeps them."""
        self.check_finite(state)
        self.progress.say(f"testing {len(self.tests)} videos")
        if state.average:
            state.average.swap()
        self.task.attach(lambda: dict(state.network.named_parameters()))
        self.measure_norms(state.network)
        broadcast_buffers(state.network)
        memory = ViewsMemory(self.plan, standing=self.memory.standing)
        results = judge_videos(
            self.tested_network(state.network),
            self.task,
            self.tests,
            self.plan.arch.clips,
            device=self.world.device,
            workers=self.workers,
            batch=memory.views(self.world.device, VIEWS_PER_BATCH),
            skips=self.test_skips,
            frames_read=self.plan.frames_read,
        )
        train_mode(state.network, self.recipe.norms)
        if state.average:
            state.average.swap()
        self.task.attach(state.tested_weights)
        self.figures = results.figures
        ranked = ranked_by(self.recipe.best_by, self.figures, self.recipe.written)
        if state.best is None or is_better(ranked, state.best.figures):
            state.best = BestEvaluation(step=self.step, figures=ranked)
        self.folder.log(LogEntry(step=self.step, **self.figures))
        self.folder.draw_curves(self.plan.name)
        self.progress.tested(self.step, self.figures)
        self.meter.reset()

    def tested_network(self, network: nn.Module) -> nn.Module:
        """The network as `evaluate` would build it; sharded weights stay where they are."""
        if isinstance(network, FSDPModule):
            return AsTested(network, self.task)
        return testing_copy(self.plan, self.recipe, network, self.world.device)

    def measure_norms(self, network: nn.Module) -> None:
        """Recompute the statistics of batch norms over the next clips (precise BN)."""
        steps = -(-self.recipe.norms.precise // self.recipe.batch)
        if steps:
            with precise_statistics(network, self.recipe.norms):
                for batch in self.feed(self.step, steps):
                    for part, _ in split_batch(batch, self.recipe.optimizer.accumulate):
                        with autocast_of(self.recipe, self.world.device):
                            network(self.task.inputs(part.clips, part))

    def feed(self, start: int, steps: int) -> Iterator[Batch]:
        """Training batches."""
        batches = train_batches(
            self.videos,
            self.recipe,
            self.plan.arch.clips,
            task=self.task,
            start=start,
            steps=steps,
            rank=self.world.rank,
            world=self.world.size,
            device=self.world.device,
            workers=self.workers,
            skips=self.skips,
            frames_read=self.plan.frames_read,
        )
        return beside_the_step(batches, self.world.device)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint and remove old ones."""
        self.check_finite(state)
        broadcast_buffers(state.network)
        own = (
            dict(self.identity)
            | state.facts()
            | {"figures": self.figures, "weights": self.origin, "lowered": self.lowered}
        )
        saved = save_checkpoint(self.path, state.tensors(), CheckpointFacts(**own), self.world)
        if self.world.first:
            prune(self.path, self.recipe.keep, state.best.step if state.best else None)
        self.progress.say(f"saved {saved.name}")

    def end(self) -> None:
        """Gather the unreadable videos of all processes."""
        for part in gather_objects(self.test_skips.names | self.skips.names):
            self.skipped |= part

    @contextmanager
    def stop_on_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the run after the current step, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = [signal.signal(number, self.on_signal) for number in SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(SIGNALS, before):
                signal.signal(number, handler)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; a second Ctrl-C interrupts at once."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
