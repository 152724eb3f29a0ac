"""From an arch, a recipe and videos to a trained network in a folder, as often as it is interrupted."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.amp import GradScaler

from archdsl.backend import build
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_of
from archdsl.report.memory.report import Memory
from archdsl.spec.files import make_folder
from archdsl.training.data.clips import Videos
from archdsl.training.data.sources.discovery import found_from_anywhere, videos_for
from archdsl.training.data.sources.videos import Files
from archdsl.training.distributed import World, as_one, world_of
from archdsl.training.loop import seed_of, train_to_the_end
from archdsl.training.meters import Meter, peak_of
from archdsl.training.network_setup import memory_of, prepared, shared
from archdsl.training.norms import train_mode
from archdsl.training.optimizer import Average, optimizer_of
from archdsl.training.precision import PRECISIONS, slowness
from archdsl.training.progress import Progress
from archdsl.training.run import Run
from archdsl.training.state.checkpoints import checkpoints_in, digest, read_facts, sweep
from archdsl.training.state.compatibility import check_agrees, check_same, identity
from archdsl.training.state.initial_weights import begun_from
from archdsl.training.state.locks import locked
from archdsl.training.state.records import About, Facts, Identity, Origin
from archdsl.training.state.rollback import adopt
from archdsl.training.state.run_folder import Folder
from archdsl.training.state.skipped_videos import Skips
from archdsl.training.state.snapshot import State, fingerprint


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
    """Train a network on videos and test it; leave everything in the folder `out`.

    A folder that holds an unfinished run is gone on from, from its last checkpoint or from `resume`. Under torchrun
    every process calls this; with `shard` they share the weights too. `data` is `motion`, a folder of videos or of
    shards, a list, or (videos to train on, videos to test on). A run that is not gone on from begins with
    `weights`, where they are given: of a file, a checkpoint or another run, as `evaluate` would use them. Of the head
    those are taken that fit; `run.json` names the others.

    Raises SpecError where arch, recipe, data and folder do not fit each other, and where the loss is no number.
    """
    with world_of(device) as world, ExitStack() as stack:
        with as_one():
            asked = asked_for(arch, recipe, data, world, shard=shard)
            folder = Folder(Path(out), world)
            if world.first:
                make_folder(folder.path)
                stack.enter_context(locked(folder.path))
        with as_one():
            start = start_of(asked, folder.path, resume, weights)
        check_same(asked.shared() | start.shared())
        run, state = begun(asked, start, folder, workers=workers, quiet=quiet)
        take_up(run, state, start)
        with run.listening(), run.progress.bar:
            train_mode(state.network, run.recipe.norms)
            run.meter.begin()
            feed = run.feed(state.step, run.steps - state.step)
            # DDP must end before its process group: torch 2.13 may wait for ever where DDP lets go of it last
            train_to_the_end(state, shared(state.network, world), run.recipe, feed, run)
        run.end()
    return run


class Asked(NamedTuple):
    """What is to be trained, how and on what; nothing of it is of one process alone."""

    plan: Plan
    recipe: Recipe
    videos: Videos
    tests: Videos
    memory: Memory
    identity: Identity
    shard: bool
    data: str | None
    """As `--data` takes it, from anywhere; None for videos of Python."""

    def shared(self) -> dict[str, Any]:
        """As plain data."""
        return self.identity.model_dump() | {"name": self.plan.name, "shard": self.shard}


def asked_for(
    arch: Arch | str | Path,
    recipe: Recipe | str | Path,
    data: str | Path | tuple[Videos, Videos],
    world: World,
    *,
    shard: bool,
) -> Asked:
    """What a person asked for. Raises SpecError where its parts do not fit each other."""
    plan, recipe = compile(load(arch)), recipe_of(recipe)
    check_batch(recipe, world)
    videos, tests = data if isinstance(data, tuple) else both_of(str(data), plan, recipe)
    check_classes(plan, videos)
    check_alike(videos, tests)
    shard = shard and world.size > 1  # one process alone has nobody to share with
    memory = memory_of(plan, recipe, world, shard=shard)
    place = None if isinstance(data, tuple) else found_from_anywhere(str(data))
    return Asked(plan, recipe, videos, tests, memory, identity(plan, recipe, videos, tests), shard, place)


class Start(NamedTuple):
    """Where a run begins: with a checkpoint and what it says of itself, with weights, or with neither."""

    checkpoint: Path | None
    facts: Facts | None
    named: bool
    """Whether a person named the checkpoint, instead of the run's last."""
    weights: Path | None

    def shared(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "checkpoint": f"step {self.facts.step}" if self.facts else "none",
            "checkpoint's checksums": digest(self.facts.model_dump()) if self.facts else "none",
            "resume": self.named,
        }


def start_of(asked: Asked, out: Path, resume: str | Path | None, weights: str | Path | None) -> Start:
    """Where a run begins. Raises SpecError for a checkpoint that is damaged, or another run's."""
    checkpoint = Path(resume) if resume else next(reversed(checkpoints_in(out)), None)
    facts = read_facts(checkpoint) if checkpoint else None
    if checkpoint and facts:
        check_agrees(asked.plan, asked.identity, facts, checkpoint, named=resume is not None)
    return Start(checkpoint, facts, resume is not None, Path(weights) if weights else None)


def begun(asked: Asked, start: Start, folder: Folder, *, workers: int, quiet: bool) -> tuple[Run, State]:
    """A run that has not trained, and its state."""
    plan, recipe, videos, tests, memory, identity, shard, data = asked
    world = folder.world
    weights = None if start.checkpoint else start.weights
    torch.manual_seed(seed_of(recipe.seed, "weights"))
    network = build(plan)
    with as_one():
        left = begun_from(network, weights) if weights else {}
    if weights:
        check_same({"weights": fingerprint(network)})
    network = prepared(network, plan, recipe, world, again=memory.again, shard=shard)
    run = Run(
        plan=plan,
        recipe=recipe,
        folder=folder,
        world=world,
        network=network,
        memory=memory,
        videos=videos,
        tests=tests,
        skips=Skips.of(folder.path, recipe, world.rank),
        test_skips=Skips(folder.path, rank=world.rank, split="val"),  # they end no run: nothing is learnt from them
        meter=Meter(plan.macs, peak_of(world.device, PRECISIONS[recipe.precision]), world),
        progress=Progress(plan.name, recipe.steps_for(len(videos)), quiet=quiet or not world.first),
        identity=identity,
        workers=workers,
        origin=Origin(path=str(weights), not_taken=left) if weights else None,
        data=data,
    )
    return run, state_of(network, recipe, world)


def both_of(data: str, plan: Plan, recipe: Recipe) -> tuple[Videos, Videos]:
    """The videos to train on, and those to test on. Raises SpecError where they are the same."""
    videos, tests = (videos_for(data, split, plan.arch, recipe) for split in ("train", "val"))
    if isinstance(videos, Files) and isinstance(tests, Files) and videos.entries == tests.entries:
        raise SpecError(
            "the same videos to train on and to test on",
            got=f"{data}: {len(videos)} videos that no split divides",
            want="train/CLASS/ and val/CLASS/ in a folder, lists train.csv and val.csv, or a column split",
            fix="some videos of each class put aside for val",
        )
    return videos, tests


def state_of(network: nn.Module, recipe: Recipe, world: World) -> State:
    """The state before the first step."""
    return State(
        network=network,
        optimizer=optimizer_of(network, recipe.optimizer),
        scaler=GradScaler(world.device.type, enabled=recipe.precision == "fp16"),
        average=Average(network, recipe.average) if recipe.average else None,
    )


def take_up(run: Run, state: State, start: Start) -> None:
    """Go on from a checkpoint, or begin."""
    say = run.progress.say
    if run.world.first:
        sweep(run.path)
    if start.checkpoint and start.facts:
        with as_one():
            state.restore(start.checkpoint, start.facts)
        run.step, run.figures, run.origin = state.step, start.facts.figures, start.facts.weights
        say(f"going on from step {state.step} of {run.steps}")
        if start.weights:
            say(f"not from {start.weights}, with which only a new run begins: another --out")
        with run.folder.written() as first:
            if first and start.named and (aside := adopt(run.path, start.checkpoint, state.step)):
                say(f"set aside, as not gone on from: {aside}")
    elif run.origin:
        say(f"begins with {run.origin.path}")
        for address, why in run.origin.not_taken.items():
            say(f"not taken into the head: {address}: {why}")
    if run.memory.setup.budget:
        say(str(run.memory))
    warn(run)
    about = {"arch": run.plan.arch.name, "recipe": run.recipe.name, "processes": run.world.size, "steps": run.steps}
    about |= {"device": str(run.world.device), "workers": run.workers, "weights": run.origin}
    about |= {"again": list(run.memory.again), "memory": run.memory.peak}
    run.folder.describe(run.plan, run.recipe, About(classes=list(run.videos.classes), data=run.data, **about))
    run.folder.begin_log(state.step)


def warn(run: Run) -> None:
    """Say what is not read, and what will be slow."""
    for use, videos in (("train", run.videos), ("test", run.tests)):
        for remark in videos.remarks() if isinstance(videos, Files) else ():
            run.progress.say(f"to {use} on: {remark}")
    if slow := slowness(run.recipe, run.world.device):
        run.progress.warn(*slow)


def check_batch(recipe: Recipe, world: World) -> None:
    """A batch must fall into equal parts for all processes, and these for accumulation."""
    parts = world.size * recipe.optimizer.accumulate
    if recipe.batch % parts:
        raise SpecError(
            "a batch that does not fall into equal parts",
            at="recipe.batch",
            written=recipe.written,
            got=f"{recipe.batch} clips, {world.size} processes, {recipe.optimizer.accumulate} parts in each",
            want=f"a multiple of {parts}",
            fix=f"batch: {-(-recipe.batch // parts) * parts}",
        )


def check_alike(videos: Videos, tests: Videos) -> None:
    """The videos to test on must number their classes as those to train on do."""
    if tuple(videos.classes) == tuple(tests.classes):
        return
    other = sorted(set(tests.classes) ^ set(videos.classes)) or list(tests.classes)
    raise SpecError(
        "videos to train on and to test on of different classes",
        got=f"{len(videos.classes)} and {len(tests.classes)} classes; not in both: {', '.join(other[:4])}",
        want="the same classes in the same order",
        fix="a video of each class to train on, or classes.txt with all names beside the lists",
    )


def check_classes(plan: Plan, videos: Videos) -> None:
    """Every output must have a score for every class of the videos."""
    wanted = len(videos.classes)
    for name, shape in plan.outputs.items():
        if shape != (wanted,):
            raise SpecError(
                f"{plan.name} does not score the classes of the videos",
                at="head",
                written=plan.arch.written,
                got=f"{name} of shape {shape}",
                want=f"({wanted},): {', '.join(videos.classes[:4])}{', ...' if wanted > 4 else ''}",
                fix=f"--classes {wanted}",
            )
