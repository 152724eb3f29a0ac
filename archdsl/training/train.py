"""Train a network: from arch, recipe and videos to a run's folder, resumed after every interruption."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.amp import GradScaler

from archdsl.backend import build
from archdsl.backend.precision import AUTOCAST_TYPES
from archdsl.backend.weights import local_weights
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_of
from archdsl.report.lowering_policy import PassChoices
from archdsl.spec.files import make_folder
from archdsl.training.data.clips import Videos
from archdsl.training.data.sources.discovery import absolute_data
from archdsl.training.data.sources.videos import Files
from archdsl.training.device_memory import StepMemory
from archdsl.training.log.meters import Meter, peak_macs_per_second
from archdsl.training.log.progress import Progress
from archdsl.training.loop import seed_of, train_loop
from archdsl.training.network_setup import data_parallel, prepare_network
from archdsl.training.norms import train_mode
from archdsl.training.optimizer import MovingAverage, make_optimizer
from archdsl.training.passes import training_passes
from archdsl.training.precision import fastest_kernels, recipe_on
from archdsl.training.processes import World, fail_together, process_group
from archdsl.training.run import Run
from archdsl.training.run_record import opening_lines, run_record, warn_at_start
from archdsl.training.state.checkpoints import checkpoints_in, digest, read_facts, remove_partial
from archdsl.training.state.compatibility import (
    check_before_end,
    check_processes_agree,
    check_resumable,
    check_same_classes,
    run_identity,
)
from archdsl.training.state.initial_weights import load_initial_weights
from archdsl.training.state.locks import run_lock
from archdsl.training.state.records import CheckpointFacts, Identity, LoweredFrom
from archdsl.training.state.rollback import roll_back
from archdsl.training.state.run_folder import RunFolder
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.state.snapshot import TrainState, fingerprint
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.choice import task_for


def train(
    arch: Arch | str | Path,
    recipe: Recipe | str | Path,
    data: str | Path | tuple[Videos, Videos],
    *,
    out: str | Path,
    device: str | None = None,
    workers: int = 0,
    shard: bool = False,
    weights: str | Path | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
) -> Run:
    """Train a network on videos, test it, and write everything into the folder `out`.

    An unfinished run in the folder is resumed, from its last checkpoint or from `resume`. Under torchrun every process
    calls this; with `shard` the weights are sharded too. `data` is `motion`, a folder of videos or of shards, a list,
    or (train videos, test videos). A new run starts from `weights` where they are given: a file, a checkpoint or
    another run, as `evaluate` would use them. Head tensors that do not fit stay as initialised; `run.json` lists them.

    Raises SpecError where arch, recipe, data and folder do not fit each other, and where the loss is not finite.
    """
    with process_group(device) as world, ExitStack() as stack:
        with fail_together():
            job = make_job(arch, recipe, data, world, shard=shard)
            folder = RunFolder(Path(out), world)
            if world.first:
                make_folder(folder.path)
                stack.enter_context(run_lock(folder.path))
        with fail_together():
            start = find_start(job, folder.path, resume, weights)
            passes = training_passes(job.recipe, world.device, start.facts)
        check_processes_agree(job.to_compare() | start.to_compare())
        stack.enter_context(fastest_kernels(world.device))
        with job.memory.reported(world.device):
            run, state = make_run(job, start, passes, folder, workers=workers, quiet=quiet)
        resume_or_begin(run, state, start)
        run.task.attach(state.tested_weights)
        with run.stop_on_signals(), run.progress.bar, job.memory.reported(world.device):
            train_mode(state.network, run.recipe.norms)
            run.meter.reset()
            # DDP must end before its process group: torch 2.13 may hang where DDP releases it last
            train_loop(state, data_parallel(state.network, world), run, run.feed(state.step, run.steps - state.step))
        run.end()
    return run


class TrainingJob(NamedTuple):
    """What is trained, how and on what: the same in every process."""

    task: Task
    plan: Plan
    recipe: Recipe
    videos: Videos
    tests: Videos
    memory: StepMemory
    identity: Identity
    shard: bool
    data: str | None
    """The argument of `--data`, as an absolute path; None for a Python object."""

    def to_compare(self) -> dict[str, Any]:
        """As plain data, for comparison between processes."""
        return self.identity.model_dump() | {"name": self.plan.name, "shard": self.shard}


def make_job(
    arch: Arch | str | Path,
    recipe: Recipe | str | Path,
    data: str | Path | tuple[Videos, Videos],
    world: World,
    *,
    shard: bool,
) -> TrainingJob:
    """The job that was requested. Raises SpecError where its parts do not fit each other."""
    plan, recipe = compile(load(arch)), recipe_on(recipe_of(recipe), world.device)
    check_batch(recipe, world)
    task = task_for(plan, recipe)
    shard = shard and world.size > 1  # a single process has nothing to shard
    memory = StepMemory(plan.of_frames_read, recipe, world.size, shard, task.target_bytes())
    memory.check(world.device)  # before the data, which may take long to list
    videos, tests = data if isinstance(data, tuple) else train_and_test_videos(str(data), task)
    task.check_classes(videos.classes)
    check_same_classes(videos, tests)
    place = None if isinstance(data, tuple) else absolute_data(str(data))
    identity = run_identity(plan, recipe, videos, tests)
    return TrainingJob(task, plan, recipe, videos, tests, memory, identity, shard, place)


class Start(NamedTuple):
    """Where a run starts: at a checkpoint and its facts, from weights, or from random weights."""

    checkpoint: Path | None
    facts: CheckpointFacts | None
    named: bool
    """Whether `resume` named the checkpoint; else it is the run's last."""
    weights: Path | None

    def to_compare(self) -> dict[str, Any]:
        """As plain data, for comparison between processes."""
        return {
            "checkpoint": f"step {self.facts.step}" if self.facts else "none",
            "checkpoint's checksums": digest(self.facts.model_dump()) if self.facts else "none",
            "resume": self.named,
        }


def find_start(job: TrainingJob, out: Path, resume: str | Path | None, weights: str | Path | None) -> Start:
    """Where the run starts. Raises SpecError for a damaged checkpoint, and for one of another run."""
    checkpoint = Path(resume) if resume else next(reversed(checkpoints_in(out)), None)
    facts = read_facts(checkpoint) if checkpoint else None
    if checkpoint and facts:
        check_resumable(job.plan, job.identity, facts, checkpoint, named=resume is not None)
        check_before_end(facts.step, job.recipe.steps_for(len(job.videos)), checkpoint)
    return Start(checkpoint, facts, resume is not None, local_weights(weights) if weights else None)


def make_run(
    job: TrainingJob, start: Start, passes: PassChoices, folder: RunFolder, *, workers: int, quiet: bool
) -> tuple[Run, TrainState]:
    """A run before its first step, and its state."""
    task, plan, recipe, videos, tests, memory, identity, shard, data = job
    world = folder.world
    weights = None if start.checkpoint else start.weights
    torch.manual_seed(seed_of(recipe.seed, "weights"))
    network = build(task.trained.of_frames_read, passes, train=True)
    with fail_together():
        origin = load_initial_weights(network, weights, videos.classes) if weights else None
    if weights:
        check_processes_agree({"weights": fingerprint(network)})
    with fail_together():
        task.prepare(videos, world.device)
    network = prepare_network(network, plan, recipe, world, recomputed=memory.predicted.recomputed, shard=shard)
    run = Run(
        task=task,
        plan=plan,
        recipe=recipe,
        folder=folder,
        world=world,
        network=network,
        memory=memory.predicted,
        videos=videos,
        tests=tests,
        skips=SkippedVideos.for_run(folder.path, recipe, world.rank),
        # unreadable test videos end no run: nothing is learnt from them
        test_skips=SkippedVideos(folder.path, rank=world.rank, split="val"),
        meter=Meter(plan.macs, peak_macs_per_second(world.device, AUTOCAST_TYPES[recipe.precision]), world),
        progress=Progress(plan.name, recipe.steps_for(len(videos)), quiet=quiet or not world.first),
        identity=identity,
        workers=workers,
        lowered=lowered_from(start.facts, passes, world),
        origin=origin,
        data=data,
    )
    return run, initial_state(network, recipe, world)


def lowered_from(facts: CheckpointFacts | None, passes: PassChoices, world: World) -> list[LoweredFrom]:
    """The passes of a run's steps so far, and of those to come."""
    past = [one for one in facts.lowered if one.step < facts.step] if facts else []
    own = LoweredFrom(step=facts.step if facts else 0, device=world.device.type, passes=passes)
    same = past and (past[-1].device, past[-1].passes) == (own.device, own.passes)
    return past if same else [*past, own]


def train_and_test_videos(data: str, task: Task) -> tuple[Videos, Videos]:
    """(train videos, test videos). Raises SpecError where they are the same."""
    videos, tests = (task.videos(data, split) for split in ("train", "val"))
    if isinstance(videos, Files) and isinstance(tests, Files) and videos.entries == tests.entries:
        raise SpecError(
            "train and test videos are the same",
            got=f"{data}: {len(videos)} videos without a split",
            want="train/CLASS/ and val/CLASS/ in a folder, lists train.csv and val.csv, or a column split",
            fix="put some videos of each class into val",
        )
    return videos, tests


def initial_state(network: nn.Module, recipe: Recipe, world: World) -> TrainState:
    """The state before the first step."""
    return TrainState(
        network=network,
        optimizer=make_optimizer(network, recipe.optimizer),
        scaler=GradScaler(world.device.type, enabled=recipe.precision == "fp16"),
        average=MovingAverage(network, recipe.average) if recipe.average else None,
    )


def resume_or_begin(run: Run, state: TrainState, start: Start) -> None:
    """Restore the checkpoint where there is one, and write what is trained into the folder."""
    say = run.progress.say
    if run.world.first:
        remove_partial(run.path)
    if start.checkpoint and start.facts:
        with fail_together():
            state.restore(start.checkpoint, start.facts)
        run.step, run.figures, run.origin = state.step, start.facts.figures, start.facts.weights
        say(f"resuming from step  {state.step} of {run.steps}")
        if start.weights:
            say(f"{start.weights} is not used: --weights starts a new run, in another --out")
        with run.folder.one_writer() as first:
            if first and start.named and (aside := roll_back(run.path, start.checkpoint, state.step)):
                say(f"later checkpoints and the log so far moved to {aside}")
    elif run.origin:
        say(f"initial weights: {run.origin.path}")
        for address, why in run.origin.not_taken.items():
            say(f"left as initialised: {address}: {why}")
        for address, what in run.origin.adapted.items():
            say(f"adapted: {address}: {what}")
    for line in opening_lines(run):
        say(line)
    warn_at_start(run)
    run.folder.describe(run.plan, run.recipe, run_record(run))
    run.folder.truncate_log(state.step)


def check_batch(recipe: Recipe, world: World) -> None:
    """Raises SpecError where processes x micro-batches do not divide the batch."""
    parts = world.size * recipe.optimizer.accumulate
    if recipe.batch % parts:
        raise SpecError(
            "batch not divisible by processes and micro-batches",
            at="recipe.batch",
            written=recipe.written,
            got=f"{recipe.batch} clips, {world.size} processes, {recipe.optimizer.accumulate} micro-batches in each",
            want=f"a multiple of {parts}",
            fix=f"batch: {-(-recipe.batch // parts) * parts}",
        )
