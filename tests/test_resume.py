"""A run survives: kills, signals, full disks, damaged checkpoints, another number of processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import archdsl
import archdsl.training.state.checkpoints as checkpoints
from archdsl.errors import SpecError
from archdsl.training.run import Run
from archdsl.training.state.checkpoints import checkpoints_in, read_facts
from archdsl.training.state.snapshot import read_checkpoint_weights
from tests.trained import DATA, GROUPS, losses, short, small

ROOT = Path(__file__).parents[1]
EVERYTHING = {
    "optimizer__kind": "adamw",
    "optimizer__rate": 0.01,
    "optimizer__clip": 1.0,
    "optimizer__accumulate": 2,
    "average": 0.9,
    "norms__split": 2,
    "norms__precise": 16,
    "evaluate_every": 5,
}
"""Whatever has a state."""


def run(out: Path, recipe: Any = None, arch: Any = None, **options: Any) -> Run:
    return archdsl.train(arch or small(), recipe or short(), DATA, out=out, device="cpu", quiet=True, **options)


def stopped_at(out: Path, step: int, monkeypatch: pytest.MonkeyPatch, recipe: Any = None, arch: Any = None) -> Run:
    """A run that hears SIGTERM in the middle of a step."""
    real = Run.record_step

    def saw(self: Run, loss: Any, batch: Any) -> None:
        real(self, loss, batch)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "record_step", saw)
        return run(out, recipe, arch)


def equal_weights(a: Run, b: Run) -> bool:
    theirs = b.network.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in a.network.state_dict().items())


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("step", [1, 5, 11])
def test_a_signal_saves_and_the_next_run_goes_on(step, changes, tmp_path, monkeypatch):
    """64 clips in steps of 8: step 11 is in the middle of the second epoch."""
    recipe = short(steps=13, save_every=100, **changes)
    whole = run(tmp_path / "whole", recipe, small(dropout=0.3))
    part = stopped_at(tmp_path / "part", step, monkeypatch, recipe, small(dropout=0.3))
    assert part.stopped
    assert part.signal == signal.SIGTERM
    assert [path.name for path in checkpoints_in(tmp_path / "part")][-1] == f"step_{step:08d}"
    rest = run(tmp_path / "part", recipe, small(dropout=0.3))
    assert not rest.stopped
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    assert list(losses(tmp_path / "part")) == list(range(1, 14))
    assert equal_weights(whole, rest)
    assert whole.figures == rest.figures


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adam", "rmsprop", "adagrad"])
def test_what_an_optimiser_keeps_goes_on(kind, tmp_path, monkeypatch):
    recipe = short(steps=4, save_every=100, optimizer__kind=kind, optimizer__rate=0.01)
    whole = run(tmp_path / "whole", recipe)
    stopped_at(tmp_path / "part", 2, monkeypatch, recipe)
    assert equal_weights(whole, run(tmp_path / "part", recipe))


@pytest.mark.slow
def test_the_scaler_goes_on(tmp_path, monkeypatch):
    recipe = short(steps=3, precision="fp16")
    run(tmp_path / "whole", recipe)
    stopped_at(tmp_path / "part", 1, monkeypatch, recipe)
    assert read_facts(checkpoints_in(tmp_path / "part")[-1]).scaler.scale == 65536
    run(tmp_path / "part", recipe)
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


def test_a_run_at_its_end_stays(tmp_path):
    first = run(tmp_path)
    log = (tmp_path / "metrics.jsonl").read_text()
    again = run(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == log
    assert equal_weights(first, again)
    assert again.figures == first.figures


def test_the_newest_and_the_best_are_kept(tmp_path):
    done = run(tmp_path, short(steps=8, save_every=1, evaluate_every=1, keep=2))
    names = [path.name for path in checkpoints_in(tmp_path)]
    best = read_facts(checkpoints_in(tmp_path)[-1]).best
    assert names[-2:] == ["step_00000007", "step_00000008"]
    assert f"step_{best.step:08d}" in names
    assert len(names) <= 3
    assert best.figures["top1"] >= done.figures["top1"]


def test_weights_are_read_for_a_network_of_the_arch(tmp_path):
    done = run(tmp_path / "plain")
    fresh = archdsl.build(small())
    read_checkpoint_weights(fresh, checkpoints_in(tmp_path / "plain")[-1])
    assert torch.equal(fresh.head.classifier.weight, done.network.head.classifier.weight)
    done = run(tmp_path / "averaged", short(average=0.5))
    read_checkpoint_weights(fresh, checkpoints_in(tmp_path / "averaged")[-1])
    assert not torch.equal(fresh.head.classifier.weight, done.network.head.classifier.weight)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_no_checkpoint_is_not_called_a_damaged_one(tmp_path):
    out = tmp_path / "run"
    run(out)
    (*_, last) = checkpoints_in(out)
    for path, fix in ((tmp_path / "none", None), (out, f"--resume {last}")):
        with pytest.raises(SpecError) as caught:
            run(tmp_path / "other", resume=path)
        want = f"no checkpoint\n  got     {path}\n  want    a folder such as RUN/checkpoints/step_00000500"
        assert str(caught.value) == want + (f"\n  fix     {fix}" if fix else "")


def test_one_process_alone_shares_with_nobody(tmp_path):
    assert run(tmp_path, shard=True).step == 6


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [flipped, halved, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_offered(name, harm, tmp_path):
    run(tmp_path)
    last, before = checkpoints_in(tmp_path)[::-1]
    harm(last / name)
    with pytest.raises(SpecError, match="damaged checkpoint: step_00000006") as caught:
        run(tmp_path)
    (fault,) = caught.value.faults
    assert fault.fix == f"--resume {before}"
    assert name in (fault.got or "")
    done = run(tmp_path, resume=before)
    assert done.step == 6
    assert read_facts(last).step == 6


def test_half_a_checkpoint_is_no_checkpoint(tmp_path):
    whole = run(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    last = checkpoints_in(tmp_path / "part")[-1]
    last.rename(last.with_name(f".{last.name}"))
    (last.with_name(f".{last.name}") / "state.json").unlink()
    done = run(tmp_path / "part")
    assert equal_weights(whole, done)
    assert not list((tmp_path / "part" / "checkpoints").glob(".*"))


def test_a_log_cut_in_the_middle_of_a_line_goes_on(tmp_path, monkeypatch):
    run(tmp_path / "whole")
    stopped_at(tmp_path / "part", 3, monkeypatch)
    with (tmp_path / "part" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 5, "lo')
    run(tmp_path / "part")
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


def test_a_checkpoint_of_another_arch_is_refused_with_a_list(tmp_path):
    run(tmp_path)
    with pytest.raises(SpecError) as caught:
        run(tmp_path, arch=small(channels=16))
    faults = caught.value.faults
    assert all(fault.what == "checkpoint of a different architecture" for fault in faults[:4])
    stem = next(fault for fault in faults if fault.at == "main.stem.0.conv")
    assert (stem.got, stem.want) == ("3×5², 8, stride 1, 4²", "3×5², 16, stride 1, 4²")


def test_another_recipe_is_refused_unless_it_is_asked_for(tmp_path):
    run(tmp_path, short(steps=4))
    with pytest.raises(SpecError, match="run was started with a different recipe") as caught:
        run(tmp_path, short(steps=8))
    assert [(fault.at, fault.got, fault.want) for fault in caught.value.faults] == [("recipe.steps", "4", "8")]
    assert run(tmp_path, short(steps=4, log_every=3, keep=5)).step == 4
    last = checkpoints_in(tmp_path)[-1]
    assert run(tmp_path, short(steps=8), resume=last).step == 8
    assert list(losses(tmp_path)) == list(range(1, 9))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    recipe = short(steps=20, log_every=5, save_every=2, optimizer__rate=1e30, schedule__warmup=19.5)
    recipe = recipe.but(schedule=recipe.schedule.but(start=0.0))
    with pytest.raises(SpecError) as caught:
        run(tmp_path, recipe)
    (fault,) = caught.value.faults
    step = int((fault.at or "").removeprefix("step "))
    assert fault.what in (f"the loss is nan at step {step}", f"the loss is inf at step {step}")
    assert len((fault.got or "").split(", ")) == 8
    last = checkpoints_in(tmp_path)[-1]
    assert str(last) in (fault.fix or "")
    assert int(last.name[-8:]) < step
    assert read_facts(last).step == int(last.name[-8:])


@pytest.mark.parametrize("due", [{"save_every": 1}, {"save_every": 2, "evaluate_every": 3}], ids=["save", "test"])
def test_weights_that_are_no_numbers_are_not_saved(due, tmp_path, monkeypatch):
    """A step may have a finite loss and leave infinite weights: the next loss would tell, too late."""
    real = Run.record_step

    def saw(self: Run, loss: Any, batch: Any) -> None:
        real(self, loss, batch)
        if self.step == 3:
            self.network.head.classifier.weight.data[0, 0] = torch.inf

    monkeypatch.setattr(Run, "record_step", saw)
    with pytest.raises(SpecError) as caught:
        run(tmp_path, short(log_every=100, **due))
    last = checkpoints_in(tmp_path)[-1]
    assert last.name == "step_00000002"
    (fault,) = caught.value.faults
    assert fault.what == "network.head.classifier.weight is not finite at step 3"
    assert len((fault.got or "").split(", ")) == 8
    assert str(last) in (fault.fix or "")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    real, written = checkpoints.write_flushed, []

    def full(path: Path, data: bytes | str) -> None:
        written.append(path)
        if len(written) > 3:
            path.write_bytes(data[:10] if isinstance(data, bytes) else b"")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_flushed", full)
        with pytest.raises(SpecError, match="cannot write checkpoint step_00000004") as caught:
            run(tmp_path / "part")
    (fault,) = caught.value.faults
    assert fault.got == "No space left on device"
    assert fault.fix == "make room; the same command then resumes from step_00000002"
    assert [path.name for path in (tmp_path / "part" / "checkpoints").iterdir()] == ["step_00000002"]
    assert equal_weights(whole, run(tmp_path / "part"))


def command(out: Path, processes: int = 1, **settings: Any) -> list[str]:
    """A run as a program; with torchrun where it has several processes."""
    program = (
        [sys.executable]
        if processes == 1
        else [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)),
        ]
    )
    return [*program, "-m" if processes == 1 else "--module", "tests.trained", str(out), json.dumps(settings)]


def finished(out: Path, processes: int = 1, code: int = 0, **settings: Any) -> dict[int, float]:
    """The losses of a program that ran to its end."""
    done = subprocess.run(
        command(out, processes, **settings), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code, done.stderr[-3000:]
    return losses(out)


def indices(out: Path, processes: int = 1) -> dict[int, list[int]]:
    """Step -> what it saw, over all processes; the last time it was done."""
    seen: dict[int, list[int]] = {}
    parts = []
    for rank in range(processes):
        lines = Path(f"{out}.indices.{rank}").read_text().splitlines()
        parts.append(dict(map(json.loads, lines)))
    for step in parts[0]:
        seen[step] = [index for part in parts for index in part[step]]
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "workers"), [(20, 0), (4, 2)])
def test_killed_at_any_moment_it_goes_on_bit_for_bit(kills, workers, tmp_path):
    """SIGKILL at random moments; losses are equal, and no clip is lost or seen twice."""
    settings = dict(steps=160, save_every=3, dropout=0.3, evaluate_every=50, workers=workers)
    whole = finished(tmp_path / "whole", **settings)
    dice, out, killed = Random(7), tmp_path / "part", 0
    for _ in range(3 * kills):
        code = interrupted(out, settings, dice)
        killed += code == -signal.SIGKILL
        if code == 0 or killed == kills:
            break
    assert killed >= min(kills, 10), "the run was over too soon"
    assert finished(out, **settings) == whole
    assert indices(out) == indices(tmp_path / "whole")
    seen = [index for _, found in sorted(indices(out).items()) for index in found]
    assert sorted(seen[:64]) == list(range(64))


def interrupted(out: Path, settings: dict[str, Any], dice: Random) -> int:
    """The exit code of a run that is killed a few steps after it has begun, or that ended before."""
    taken = Path(f"{out}.indices.0")
    before = len(taken.read_text().splitlines()) if taken.exists() else 0
    steps = dice.randint(1, 9)
    with subprocess.Popen(command(out, **settings), cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if taken.exists() and len(taken.read_text().splitlines()) >= before + steps:
                time.sleep(dice.random() / 20)
                process.kill()
                return process.wait()
            time.sleep(0.005)
        return process.returncode


@pytest.mark.slow
def test_sigterm_leaves_with_its_code_and_a_checkpoint(tmp_path):
    out = tmp_path / "run"
    with subprocess.Popen(command(out, steps=4000, save_every=4000), cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not (out / "metrics.jsonl").exists() or len(losses(out)) < 3:
            time.sleep(0.05)
            assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 143
    (saved,) = checkpoints_in(out)
    assert read_facts(saved).step == int(saved.name[-8:]) == max(losses(out))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"groups": True}, {"norms__sync": True}, {"groups": True, "optimizer__accumulate": 2}]
)
def test_two_processes_are_one(changes, tmp_path):
    """DDP and FSDP2 with half the batch each give the losses of one process with all of it."""
    one = finished(tmp_path / "one", **changes)
    two = finished(tmp_path / "two", 2, **changes)
    shards = finished(tmp_path / "shards", 2, shard=True, **changes)
    assert two == pytest.approx(one, rel=1e-5)
    assert shards == pytest.approx(two, rel=1e-6)
    assert indices(tmp_path / "two", 2) == indices(tmp_path / "one")


@pytest.mark.slow
def test_two_processes_each_fit_a_memory(tmp_path):
    """What runs again is chosen for a process's share; the losses are those of one process that has room."""
    one = finished(tmp_path / "one", groups=True)
    two = finished(tmp_path / "two", 2, groups=True, checkpoint="530KB")
    shards = finished(tmp_path / "shards", 2, shard=True, groups=True, checkpoint="480KB")
    assert two == pytest.approx(one, rel=1e-5)
    assert shards == pytest.approx(two, rel=1e-6)
    for out, memory in (("two", 530_000), ("shards", 480_000)):
        about = json.loads((tmp_path / out / "run.json").read_text())
        assert about["again"] == ["main.stem.0"]
        assert about["memory"] <= memory


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"optimizer__kind": "adamw", "optimizer__rate": 0.01, "average": 0.9}])
def test_another_number_of_processes_goes_on_in_the_same_order(changes, tmp_path):
    """One process, then two that share weights, then one again, from each other's checkpoints."""
    settings = {"groups": True, "steps": 12, "save_every": 4, "keep": 3} | changes
    whole = finished(tmp_path / "whole", **settings)
    out = tmp_path / "part"
    shutil.copytree(tmp_path / "whole", out)
    for path in checkpoints_in(out)[1:]:
        shutil.rmtree(path)
    assert finished(out, 2, shard=True, **settings) == pytest.approx(whole, rel=1e-5)
    assert {k: v for k, v in indices(tmp_path / "whole").items() if k >= 4} == indices(out, 2)
    assert list(checkpoints_in(out)[1].glob("shard-00002*"))
    shutil.rmtree(checkpoints_in(out)[2])
    assert finished(out, **settings) == pytest.approx(whole, rel=1e-5)
    assert checkpoints_in(out)[2].joinpath("tensors.safetensors").exists()


@pytest.mark.slow
def test_a_damaged_shard_is_refused(tmp_path):
    finished(tmp_path / "run", 2, shard=True, groups=True)
    shard = next(checkpoints_in(tmp_path / "run")[-1].glob("shard-00002*"))
    flipped(shard)
    with pytest.raises(SpecError, match=f"wrong checksum of {shard.name}"):
        run(tmp_path / "run", arch=small(GROUPS))
