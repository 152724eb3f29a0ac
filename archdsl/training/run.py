"""A run: what it trains on, how far it is, what it tells. The loop says when; here is what is done."""

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

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.memory.report import Memory
from archdsl.training.batches import split, train_feed
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.distributed import World, added, any_of, gathered
from archdsl.training.evaluation.views import scored
from archdsl.training.meters import DECODE_BOUND, Meter
from archdsl.training.network_setup import level_buffers
from archdsl.training.norms import measured, train_mode
from archdsl.training.precision import in_precision
from archdsl.training.progress import Progress
from archdsl.training.state.checkpoints import checkpoints_in, prune, save_checkpoint
from archdsl.training.state.records import Best, Entry, Facts, Identity, Origin
from archdsl.training.state.run_folder import Folder
from archdsl.training.state.skipped_videos import Skips
from archdsl.training.state.snapshot import State

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Run:
    """Training of one arch by one recipe in one folder. What `train` gives back."""

    plan: Plan
    recipe: Recipe
    folder: Folder
    world: World
    network: nn.Module
    memory: Memory
    """What a step takes in a process, predicted; and what runs again in backward."""
    videos: Videos
    tests: Videos
    skips: Skips
    test_skips: Skips
    meter: Meter
    progress: Progress
    identity: Identity
    """What a checkpoint must agree on."""
    workers: int
    origin: Origin | None = None
    """The weights it began with; None where it made its own."""
    data: str | None = None
    """What it trains on, as `--data` takes it; None for videos of Python."""
    figures: dict[str, float] = field(default_factory=dict)
    """Of the last evaluation: top1, top5..."""
    stopped: bool = False
    """Whether a signal ended it before its last step."""
    step: int = 0
    signal: int = 0
    """Number of the signal that came: SIGTERM or SIGINT; 0 for none."""
    losses: list[Tensor] = field(default_factory=list)
    """Of this process, one for each step since the last log."""
    names: list[Sequence[str]] = field(default_factory=list)
    seen: Sequence[str] = ()
    """Clips of this process in the last step."""
    warned: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    """Videos that could not be read, and why, over all processes; known at the end."""

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
        """Whether it is time to `log`, `evaluate` or `save`: at the last step all three; an evaluation is saved."""
        step, recipe = self.step, self.recipe
        if step == self.steps:
            return True
        if what == "log":
            return step % recipe.log_every == 0
        return recipe.evaluates_after(step, self.count) or (what == "save" and step % recipe.save_every == 0)

    def saw(self, loss: Tensor, batch: Batch) -> None:
        """A step is done. Its loss is not read yet: that waits for the GPU."""
        self.step += 1
        self.losses.append(loss)
        self.names.append(batch.names)
        self.seen = batch.names
        self.meter.saw(len(batch.labels), batch.waited)
        self.progress.advance(self.step)

    def asked_to_stop(self) -> bool:
        """Whether SIGTERM or Ctrl-C came to any process."""
        self.stopped = any_of(self.signal > 0) and self.step < self.steps
        return self.stopped

    def log(self, state: State, rate: float) -> None:
        """Loss of the last step, rate and speed. Raises SpecError where a loss is no number."""
        losses = self.checked_losses()
        speed = self.meter.read()
        epoch = round(self.step * self.recipe.batch / self.count, 4)
        self.folder.log(Entry(step=self.step, epoch=epoch, loss=losses[-1], rate=rate, **speed))
        self.progress.log(self.step, losses[-1], rate, speed)
        if speed["waiting"] > DECODE_BOUND and not self.warned and self.step > self.recipe.log_every:
            self.warned = True
            self.progress.warn(
                f"bound by reading videos: {speed['waiting']:.0%} of the time is spent waiting for clips",
                f"more --workers than {self.workers}, or smaller files: archdsl data --help",
            )

    def checked_losses(self) -> list[float]:
        """The losses since the last log, over all processes. Raises SpecError for NaN and infinities."""
        mine = torch.stack(self.losses)
        losses: list[float] = added(mine.clone()).tolist()
        names, first = self.names, self.step - len(losses)
        self.losses, self.names = [], []
        for i, loss in enumerate(losses):
            if not torch.isfinite(torch.tensor(loss)):
                seen = [name for part in gathered(() if mine[i].isfinite() else tuple(names[i])) for name in part]
                raise self.not_finite(first + i + 1, f"the loss is {loss}", seen)
        return losses

    def check_finite(self, state: State) -> None:
        """Raises SpecError where losses, or numbers that a checkpoint would hold, are none."""
        if self.losses:
            self.checked_losses()
        odd = sorted({name for part in gathered(state.not_finite()) for name in part})
        if odd:
            seen = [name for part in gathered(tuple(self.seen)) for name in part]
            raise self.not_finite(self.step, f"{odd[0]} is not finite", seen)

    def not_finite(self, step: int, what: str, names: list[str]) -> SpecError:
        """The error of a step that gives no numbers: the step, its clips, the checkpoint before it."""
        last = checkpoints_in(self.path)
        kept = f"{last[-1]} is kept; " if last else ""
        return SpecError(
            f"{what} at step {step}",
            at=f"step {step}",
            got=", ".join(names),
            want="finite numbers",
            fix=f"{kept}a lower recipe.optimizer.rate, recipe.optimizer.clip, or other values of these clips",
        )

    def test(self, state: State) -> None:
        """Test the network, with its average where there is one."""
        self.check_finite(state)
        self.progress.say(f"testing {len(self.tests)} videos")
        if state.average:
            state.average.swap()
        self.measure_norms(state.network)
        level_buffers(state.network)
        scores = scored(
            state.network,
            self.tests,
            self.recipe,
            self.plan.arch.clips,
            device=self.world.device,
            workers=self.workers,
            skips=self.test_skips,
        )
        train_mode(state.network, self.recipe.norms)
        if state.average:
            state.average.swap()
        self.figures = scores.figures
        figure = next(iter(self.figures.values()))
        if state.best is None or figure > next(iter(state.best.figures.values())):
            state.best = Best(step=self.step, figures=self.figures)
        self.folder.log(Entry(step=self.step, **self.figures))
        self.progress.tested(self.step, self.figures)
        self.meter.begin()

    def measure_norms(self, network: nn.Module) -> None:
        """Statistics of batch norms over the next clips, anew (precise BN)."""
        steps = -(-self.recipe.norms.precise // self.recipe.batch)
        if steps:
            with measured(network, self.recipe.norms):
                for batch in self.feed(self.step, steps):
                    for part, _ in split(batch, self.recipe.optimizer.accumulate):
                        with in_precision(self.recipe, self.world.device):
                            network(part.clips)

    def feed(self, start: int, steps: int) -> Iterator[Batch]:
        """Batches of clips for training."""
        return train_feed(
            self.videos,
            self.recipe,
            self.plan.arch.clips,
            start=start,
            steps=steps,
            rank=self.world.rank,
            world=self.world.size,
            device=self.world.device,
            workers=self.workers,
            skips=self.skips,
        )

    def save(self, state: State) -> None:
        """Write a checkpoint and remove what is too old."""
        self.check_finite(state)
        level_buffers(state.network)
        own = dict(self.identity) | state.facts() | {"figures": self.figures, "weights": self.origin}
        saved = save_checkpoint(self.path, state.tensors(), Facts(**own), self.world)
        if self.world.first:
            prune(self.path, self.recipe.keep, state.best.step if state.best else None)
        self.progress.say(f"saved {saved.name}")

    def end(self) -> None:
        """Gather what could not be read."""
        for part in gathered(self.test_skips.names | self.skips.names):
            self.skipped |= part

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the run after the step that is under way, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = [signal.signal(number, self.hear) for number in SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(SIGNALS, before):
                signal.signal(number, handler)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Remember that a signal came; a second Ctrl-C is not waited for."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
