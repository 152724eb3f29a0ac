"""What does not fit a device's memory ends before the first step, with changes that fit; running out is one error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
import archdsl.training.device_memory as device_memory
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import change_all
from archdsl.recipes import recipe
from archdsl.training.device_memory import StepMemory, ViewsMemory
from archdsl.training.run import Run
from tests.trained import DATA, short, small

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
README_COMMAND = "train my_slowfast.yaml --recipe slowfast_k400 --data kinetics/ --out runs/mine --workers 16"


@pytest.fixture
def ram(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the machine's RAM, in bytes."""
    return lambda size: monkeypatch.setattr(device_memory, "machine_memory", lambda: size)


def test_the_readmes_command_on_24_gb_ends_with_fixes_that_work(
    ram: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each fix, added to the command as it stands, gets past the memory, to the data that is not there."""
    ram(24 * 2**30)
    assert README_COMMAND in (Path(__file__).parents[1] / "README.md").read_text()
    shutil.copy(Path(__file__).parent / "data" / "my_slowfast.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(README_COMMAND.split()) == 2
    error = capsys.readouterr().err
    assert (
        error
        == """\
a step that does not fit the memory of cpu
  at      recipe.batch
  written slowfast_k400.yaml:5
  got     766 GB, predicted for a micro-batch of 1,024 clips in fp32
  want    at most 23.2 GB
  fix     --batch 27, or --set recipe.optimizer.accumulate=64
"""
    )
    fixes = error.splitlines()[-1].removeprefix("  fix     ").split(", or ")
    for fix in fixes:
        assert main([*README_COMMAND.split(), *fix.split()]) == 2
        assert capsys.readouterr().err.startswith("no such data")


def test_what_fits_is_as_much_as_fits(ram: Any) -> None:
    plan = archdsl.compile(small())
    made = short(batch=64)
    step = StepMemory(plan, made, 1, shard=False)
    assert "checkpoint" in str(step.fix(int(1.1 * step.needed), CPU))
    room = step.needed // 2
    assert [fix.rpartition(".")[2].split("=")[0].split()[0] for fix in str(step.fix(room, CPU)).split(", or ")] == [
        "--batch",
        "accumulate",
    ]
    assert "torchrun --nproc_per_node 4" in str(step.fix(room, CUDA))
    assert "nproc" not in str(step.fix(room, CPU))
    largest = int(str(step.smaller_batch(room)).removeprefix("--batch "))
    assert step.changed(batch=largest).needed <= room < step.changed(batch=largest + 1).needed
    (parts,) = [int(word.split("=")[1]) for word in str(step.more_parts(room)).split() if "=" in word]
    split = change_all(made, [("optimizer.accumulate", parts)])
    assert StepMemory(plan, split, 1, shard=False).needed <= room
    assert split.batch % parts == 0
    amount = str(step.recomputed(step.needed - 10**4)).removeprefix("--set recipe.checkpoint=")
    again = StepMemory(plan, made.but(checkpoint=amount), 1, shard=False)
    assert again.needed <= step.needed - 10**4
    assert again.predicted.recomputed


def test_parts_of_batch_norms_stay_whole() -> None:
    """Micro-batches that `norms.split` does not divide are no advice."""
    made = short(batch=64, norms__split=4)
    step = StepMemory(archdsl.compile(small()), made, 2, shard=False)
    room = step.needed // 3
    assert int(str(step.smaller_batch(room)).removeprefix("--batch ")) % 8 == 0
    (parts,) = [int(word.split("=")[1]) for word in str(step.more_parts(room)).split() if "=" in word]
    assert 64 // 2 // parts % 4 == 0


def test_nothing_fits_a_few_bytes() -> None:
    step = StepMemory(archdsl.compile(small()), short(), 1, shard=False)
    assert step.fix(1000, CUDA) is None


def test_shards_of_weights_need_less() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    whole, shards = (StepMemory(plan, short(batch=8), 8, shard=shard) for shard in (False, True))
    assert shards.needed < whole.needed - 7 / 8 * 4 * plan.params


def test_a_run_that_does_not_fit_is_refused_before_its_data(ram: Any, tmp_path: Path) -> None:
    ram(2_000_000)
    with pytest.raises(SpecError, match="does not fit the memory of cpu") as caught:
        archdsl.train(small(), short(batch=64), "nowhere", out=tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()
    fix = str(caught.value.faults[0].fix).split(", or ")[0]
    archdsl.train(
        small(), short(steps=1, batch=int(fix.split()[1])), DATA, out=tmp_path / "run", device="cpu", quiet=True
    )


def test_processes_of_a_machine_share_its_ram(ram: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ram(10**9)
    assert device_memory.room_on(CPU) == 9 * 10**8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert device_memory.room_on(CPU) == 9 * 10**8 // 4


def no_memory(size: int) -> Any:
    """torch's own error of a CPU's allocator."""
    return torch.empty(size, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("fall", "got"),
    [
        (lambda: no_memory(2**62), "can't allocate memory"),
        (lambda: (_ for _ in ()).throw(MemoryError()), "MemoryError"),
        (lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to")), "CUDA out of memory"),
    ],
)
def test_a_step_that_runs_out_of_memory_is_one_error(
    fall: Any, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.record_step

    def fell(self: Run, *given: Any) -> None:
        real(self, *given)
        if self.step == 2:
            next(fall()) if got != "can't allocate memory" else fall()

    monkeypatch.setattr(Run, "record_step", fell)
    with pytest.raises(SpecError, match="out of memory on cpu") as caught:
        archdsl.train(small(), short(steps=3, batch=16), DATA, out=tmp_path, device="cpu", quiet=True)
    (fault,) = caught.value.faults
    assert got in str(fault.got)
    assert "--batch " in str(fault.fix)
    assert int(str(fault.fix).split()[1].rstrip(",")) < 16


def test_other_errors_are_not_called_so() -> None:
    with (
        pytest.raises(RuntimeError, match="another"),
        device_memory.out_of_memory_reported(CPU, 10, lambda room: None),
    ):
        raise RuntimeError("another")


def test_as_many_views_as_fit_are_tested_at_once(ram: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = ViewsMemory(archdsl.compile(small()))
    ram(int(memory.at(5).peak / 0.81) + 100)
    assert memory.views(CPU, most=16) == 5
    assert memory.views(CPU, most=3) == 3
    ram(1)
    assert memory.views(CPU, most=16) == 1
    ram(10**9)
    with pytest.raises(SpecError, match="out of memory") as caught, memory.reported(CPU, 16):
        no_memory(2**62)
    fewer = int(str(caught.value.faults[0].fix).removeprefix("--batch "))
    assert 0 < fewer < 16


def test_the_predicted_peak_is_in_the_record(tmp_path: Path) -> None:
    made = archdsl.train(small(), short(steps=1), DATA, out=tmp_path, device="cpu", quiet=True)
    assert json.loads((tmp_path / "run.json").read_text())["memory"] == made.memory.peak
    assert recipe("smoke").checkpoint == "none"
