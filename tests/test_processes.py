"""Processes that are to do different things, or of which one stops, all end with one error, soon."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from archdsl.errors import SpecError
from archdsl.language.recipes.optimizer import Norms
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.norms import precise_statistics
from archdsl.training.processes import process_group
from archdsl.training.state.checkpoints import checkpoints_in
from tests.processes import told_by_two
from tests.trained import DATA, short, small

pytestmark = pytest.mark.slow


class Renamed(MovingDigits):
    """Moving digits of other class names."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(f"{name}!" for name in super().classes)


CASES = {
    "classes": ("data.train.classes", "right at 1 px per frame"),
    "videos": ("data.val.counts", "4, 3, 3] in process 1"),
    "arch": ("arch.pathways.main.stages", "in process 1"),
    "batch=16": ("recipe.batch", "8 in process 0, 16 in process 1"),
    "seed=3": ("recipe.seed", "the default in process 0, 3 in process 1"),
    "steps=5": ("recipe.steps", "6 in process 0, 5 in process 1"),
    "optimizer__rate=0.5": ("recipe.optimizer.rate", "in process 0, 0.5 in process 1"),
    "save_every=3": ("recipe.save_every", "2 in process 0, 3 in process 1"),
    "log_every=2": ("recipe.log_every", "1 in process 0, 2 in process 1"),
    "checkpoint": ("checkpoint", "step 6 in process 0, none in process 1"),
    "resume": ("checkpoint", "step 6 in process 0, step 2 in process 1"),
    "weights": ("weights", "in process 1"),
}
"""What the second process is to do differently -> where the error says so, and with which words."""


def differing(out: Path, rank: int) -> dict[str, str]:
    """Runs in which the second process is to do something else, one after the other."""
    said = {}
    with process_group("cpu"):
        for case in CASES:
            try:
                train_as(case, out, rank == 1)
            except SpecError as error:
                said[case] = str(error)
    return said


def train_as(case: str, out: Path, other: bool) -> None:
    """A run; in the `other` process with what a case says."""
    arch, recipe, data, options = small(), short(), DATA, {}
    run = out / ("run" if case in ("checkpoint", "resume") else "new")
    match case:
        case "weights":
            options = {"weights": checkpoints_in(out / "run")[int(other)]}
        case "classes" if other:
            data = (Renamed(64, 0, frames=4, size=32), Renamed(32, 1, frames=4, size=32))
        case "videos" if other:
            data = (DATA[0], MovingDigits(30, 1, frames=4, size=32))
        case "arch" if other:
            arch = small(channels=16)
        case "checkpoint" if other:
            run = out / "elsewhere"
        case "resume" if other:
            options = {"resume": checkpoints_in(run)[0]}
        case _ if other:
            name, _, value = case.partition("=")
            recipe = short(**{name: int(value) if value.isdecimal() else float(value)})
    archdsl.train(arch, recipe, data, out=run, device="cpu", quiet=True, **options)


def test_processes_that_are_to_do_different_things_end_alike(tmp_path: Path) -> None:
    archdsl.train(small(), short(keep=9), DATA, out=tmp_path / "run", device="cpu", quiet=True)
    first, second = told_by_two(differing, tmp_path)
    assert first == second
    assert first.keys() == CASES.keys()
    for case, (at, got) in CASES.items():
        assert first[case].startswith("processes were started with different settings\n"), first[case]
        assert f"at      {at}" in first[case], first[case]
        assert got in first[case], first[case]
    assert not checkpoints_in(tmp_path / "new")


def stopping(out: Path, rank: int, how: str) -> Any:
    """A run whose second process is stopped, or killed, in the middle."""
    import archdsl.training.heartbeat as module
    from archdsl.training.run import Run

    module.BEAT_SECONDS = 0.5
    real = Run.record_step

    def saw(self: Run, *given: Any) -> None:
        real(self, *given)
        if rank == 1 and self.step == 3:
            os.kill(os.getpid(), {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}[how])

    Run.record_step = saw  # type: ignore[method-assign]
    archdsl.train(small(), short(), DATA, out=out / "run", device="cpu", quiet=True)
    return "done"


@pytest.mark.parametrize(
    ("how", "what"), [("stop", "process 1 does not answer"), ("kill", "lost the connection to another process")]
)
def test_a_process_that_stops_ends_the_others(how: str, what: str, tmp_path: Path) -> None:
    begun = perf_counter()
    first, _ = told_by_two(stopping, tmp_path, how)
    assert what in first
    assert perf_counter() - begun < 90  # torchrun gives a process that it ends 30 s


def falling(out: Path, rank: int) -> Any:
    """The second process falls, and does not end; the first waits for something that never comes."""
    import archdsl.training.heartbeat as module

    module.BEAT_SECONDS = 0.5
    try:
        with process_group("cpu"):
            if rank == 1:
                raise ValueError("a fault\nof its own")
            Event().wait(60)
    except ValueError:
        Event().wait(60)
    return "waited in vain"


def test_a_process_that_falls_ends_those_that_wait_for_it(tmp_path: Path) -> None:
    begun = perf_counter()
    first, _ = told_by_two(falling, tmp_path)
    assert "process 1 failed" in first
    assert "got     ValueError: a fault\n" in first
    assert perf_counter() - begun < 50


def precisely(out: Path, rank: int) -> Any:
    """Running statistics of the first norm, in a run whose weights stay, measured over 32 clips."""
    recipe = short(1, norms__precise=32, optimizer__rate=1e-9)
    run = archdsl.train(small(), recipe, DATA, out=out / "run", device="cpu", quiet=True)
    return [x.tolist() for name, x in run.network.named_buffers() if "stem" in name and "running" in name]


def test_precise_statistics_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    first, second = told_by_two(precisely, tmp_path)
    assert first == second
    for ours, theirs in zip(first, precisely(tmp_path / "one", 0)):
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-4, atol=1e-5)


def evaluated(out: Path, rank: int) -> Any:
    """A network that two processes test; the second has something else, or not."""
    said = []
    with process_group("cpu"):
        for case in ("weights", "classes", "same"):
            kind = Renamed if rank == 1 and case == "classes" else MovingDigits
            weights = checkpoints_in(out / "run")[rank if case == "weights" else -1]
            try:
                made = archdsl.evaluate(
                    small(), kind(24, 1, frames=4, size=32), recipe=short(), weights=weights, device="cpu", quiet=True
                )
                said.append(made.figures)
            except SpecError as error:
                said.append(str(error).splitlines()[0])
    return said


def test_processes_that_test_different_things_end_alike(tmp_path: Path) -> None:
    archdsl.train(small(), short(keep=9), DATA, out=tmp_path / "run", device="cpu", quiet=True)
    first, second = told_by_two(evaluated, tmp_path)
    assert first == second
    assert first[:2] == ["processes were started with different settings", "videos have classes that the run does not"]
    assert first[2].keys() == {"top1", "top5", "mean_class"}


def halves(out: Path, rank: int) -> Any:
    """Precise statistics of batches of which each process has every second."""
    torch.manual_seed(0)
    batches = torch.randn(6, 4, 2, 1, 3, 3) + torch.arange(6).view(6, 1, 1, 1, 1, 1)
    made = nn.BatchNorm3d(2)
    with process_group("cpu"), precise_statistics(made, Norms(precise=24)):
        for batch in batches[rank::2]:
            made(batch)
    return [made.running_mean.tolist(), made.running_var.tolist()]


def test_precise_statistics_are_those_of_all_processes(tmp_path: Path) -> None:
    first, second = told_by_two(halves, tmp_path)
    assert first == second
    torch.manual_seed(0)
    batches = torch.randn(6, 4, 2, 1, 3, 3) + torch.arange(6).view(6, 1, 1, 1, 1, 1)
    values = batches.transpose(1, 2).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.tensor(first), torch.stack((values.mean(1), values.var(1, correction=0))))


def test_a_full_disk_under_shards_is_one_error(tmp_path: Path) -> None:
    first, second = told_by_two(full, tmp_path)
    assert first == second
    assert first.startswith("cannot write checkpoint step_00000002\n"), first
    assert "got     File too large" in first
    assert not checkpoints_in(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")


def full(out: Path, rank: int) -> Any:
    """Files of more than 20 kB do not fit."""
    import resource

    if rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    archdsl.train(small("none"), short(), DATA, out=out / "run", device="cpu", quiet=True, shard=True)
    return "done"
