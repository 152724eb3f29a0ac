"""What a run goes on from: its own arch, recipe and data; a checkpoint that was named; a folder that is its alone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import archdsl
from archdsl.errors import SpecError
from archdsl.language import change
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.log.tensorboard import EventFile
from archdsl.training.processes import World
from archdsl.training.run import Run
from archdsl.training.state import checkpoints
from archdsl.training.state import run_folder as folder
from archdsl.training.state.checkpoints import checkpoints_in, locked_checkpoint, prune, read_facts, save_checkpoint
from archdsl.training.state.initial_weights import open_weights
from archdsl.training.state.records import CheckpointFacts
from archdsl.training.state.rollback import roll_back
from tests.filmed import film, numbered_frames
from tests.test_resume import stopped_at
from tests.trained import DATA, entries, losses, short, small

VIDEOS = "run was started with different videos"
ALONE = World(0, 1, torch.device("cpu"))


def run(out: Path, data: Any = DATA, recipe: Any = None, arch: Any = None, **options: Any) -> Run:
    return archdsl.train(arch or small(), recipe or short(), data, out=out, device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of each of three classes, to train on and to test on."""
    folder = tmp_path_factory.mktemp("filmed")
    for i, name in enumerate(f"{split}/{c}/{n}.avi" for split in ("train", "val") for c in "abc" for n in (1, 2)):
        film(folder / name, numbered_frames(5 + i), codec="mpeg4")
    return folder


def three(steps: int = 4) -> dict[str, Any]:
    return {"arch": change(small(), "head.classes", 3), "recipe": short(steps, save_every=2)}


def rename_class(data: Path) -> None:
    for split in ("train", "val"):
        (data / split / "b").rename(data / split / "z")


def drop_video(data: Path) -> None:
    (data / "train" / "a" / "1.avi").unlink()


def move_video(data: Path) -> None:
    (data / "train" / "a" / "1.avi").rename(data / "train" / "b" / "0.avi")


def rename_video(data: Path) -> None:
    (data / "val" / "c" / "1.avi").rename(data / "val" / "c" / "3.avi")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (rename_class, ("run was started with different classes", "class 1", "b", "c")),
        (drop_video, (VIDEOS, "train", "6 videos: 2 of a", "5 videos: 1 of a")),
        (
            move_video,
            (VIDEOS, "train", "6 videos: 2 of a, 2 of b", "6 videos: 1 of a, 3 of b"),
        ),
        (
            rename_video,
            (VIDEOS, "val", "6 videos with other names, ", "6 videos with other names, "),
        ),
    ],
)
def test_a_run_goes_on_with_its_data_only(harm: Any, told: tuple[str, ...], filmed: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(filmed, data)
    run(out, data, **three())
    assert run(out, data, **three()).step == 4
    (last,) = checkpoints_in(out)[-1:]
    harm(data)
    with pytest.raises(SpecError) as caught:
        run(out, data, **three())
    (fault,) = caught.value.faults
    assert (fault.what, fault.at) == told[:2]
    assert (fault.got or "").startswith(told[2])
    assert (fault.want or "").startswith(told[3])
    assert json.loads((out / "run.json").read_text())["classes"] == ["a", "b", "c"]
    if harm is rename_class:
        with pytest.raises(SpecError, match="run was started with different classes"):
            run(out, data, **three(6), resume=last)
        assert run(tmp_path / "new", data, **three(), weights=last).step == 4
    else:
        assert run(out, data, **three(6), resume=last).step == 6


def test_a_list_in_another_order_is_other_data(filmed: Path, tmp_path: Path) -> None:
    lines = [f"{filmed}/train/{c}/{n}.avi,{c}" for c in "abc" for n in (1, 2)]
    for order in (lines, lines[::-1]):
        (tmp_path / "train.csv").write_text("\n".join(["path,label", *order]))
        (tmp_path / "val.csv").write_text("\n".join(["path,label", *lines[:3], *lines[4:]]).replace("train/", "val/"))
        if order is lines:
            run(tmp_path / "run", tmp_path / "train.csv", **three())
    with pytest.raises(SpecError, match="run was started with different videos"):
        run(tmp_path / "run", tmp_path / "train.csv", **three())


def test_a_run_without_word_of_its_data_goes_on(tmp_path: Path) -> None:
    """Earlier versions did not write it."""
    run(tmp_path)
    last = checkpoints_in(tmp_path)[-1]
    facts = json.loads((last / "state.json").read_text())
    del facts["data"], facts["checksum"]
    (last / "state.json").write_text(json.dumps(facts | {"checksum": checkpoints.digest(facts)}))
    assert run(tmp_path).step == 6


def test_an_older_checkpoint_becomes_the_runs_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill before its first save, and the next run still goes on from it; what came later is kept elsewhere."""
    recipe, part = short(steps=12, keep=9, save_every=2), tmp_path / "part"
    run(tmp_path / "whole", recipe=recipe)
    shutil.copytree(tmp_path / "whole", part)
    before = (part / "metrics.jsonl").read_text()
    older = checkpoints_in(part)[1]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "record_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(part, recipe=recipe, resume=older)
    assert [path.name[-2:] for path in checkpoints_in(part)] == ["02", "04"]
    aside = part / "abandoned" / "after_step_00000004"
    assert [path.name[-2:] for path in checkpoints_in(aside)] == ["06", "08", "10", "12"]
    assert (aside / "metrics.jsonl").read_text() == before
    stopped_at(part, 7, monkeypatch, recipe)
    assert [entry["step"] for entry in entries(part)] == list(range(1, 8))
    assert run(part, recipe=recipe).step == 12
    assert losses(part) == losses(tmp_path / "whole")
    assert [path.name[-2:] for path in checkpoints_in(part)] == ["02", "04", "06", "07", "08", "10", "12"]
    run(part, recipe=recipe, resume=older)
    assert checkpoints_in(part / "abandoned" / "after_step_00000004_1")
    with pytest.raises(SpecError, match="a checkpoint beyond the last step"):
        run(part, recipe=short(steps=10, keep=9, save_every=2), resume=checkpoints_in(part)[-1])
    older.rename(older.with_name("step_00000099"))
    with pytest.raises(SpecError, match="the checkpoint of step 4 under another name"):
        run(part, recipe=recipe)


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_new_checkpoints_are_kept_before_abandoned_ones(tmp_path: Path) -> None:
    recipe = short(steps=12, keep=2, save_every=2)
    run(tmp_path, recipe=recipe)
    older = checkpoints_in(tmp_path)[-2]
    run(tmp_path, recipe=recipe.but(keep=1, save_every=1), resume=older)
    assert [path.name[-2:] for path in checkpoints_in(tmp_path)] == ["12"]
    assert read_facts(checkpoints_in(tmp_path)[-1]).step == 12


def test_a_checkpoint_of_another_folder_comes_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, part = short(steps=8, keep=9), tmp_path / "part"
    run(tmp_path / "whole", recipe=recipe)
    run(part, recipe=recipe.but(seed=5))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "record_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(part, recipe=recipe, resume=checkpoints_in(tmp_path / "whole")[1])
    run(part, recipe=recipe)
    assert losses(part) == losses(tmp_path / "whole")
    assert len(checkpoints_in(part / "abandoned" / "after_step_00000004")) == 4
    assert len(checkpoints_in(tmp_path / "whole")) == 4


LOCKED = "import fcntl, sys; f = open(sys.argv[1], 'a+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


def test_a_folder_has_one_trainer(tmp_path: Path) -> None:
    """Whose lock dies with it, however it dies; the folder stays as it was."""
    run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    command = [sys.executable, "-c", LOCKED, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SpecError, match=f"another run is training in {tmp_path}") as caught:
            run(tmp_path, recipe=short(steps=8))
        assert "process " in (caught.value.faults[0].got or "")
        assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        assert archdsl.evaluate(tmp_path, DATA[1], device="cpu", quiet=True).names
        other.kill()
    assert run(tmp_path).step == 6


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null"), Path.mkdir])
def test_a_lock_that_is_no_file_is_told(make: Any, tmp_path: Path) -> None:
    make(tmp_path / ".lock")
    with pytest.raises(SpecError, match=r"cannot write .*\.lock"):
        run(tmp_path)


def test_a_disk_without_locks_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    monkeypatch.setattr(fcntl, "flock", none)
    run(tmp_path, recipe=short(keep=1))
    assert [path.name[-2:] for path in checkpoints_in(tmp_path)] == ["06"]
    with locked_checkpoint(tmp_path) as path:
        assert read_facts(path).step == 6


def test_a_checkpoint_that_is_read_is_not_removed(tmp_path: Path) -> None:
    run(tmp_path, recipe=short(keep=9))
    first, second, _ = checkpoints_in(tmp_path)
    with locked_checkpoint(first) as path:
        assert path == first
        prune(tmp_path, 1, None)
        assert first.exists()
        assert not second.exists()
    prune(tmp_path, 1, None)
    assert not first.exists()


def test_readers_beside_a_trainer_never_fall(tmp_path: Path) -> None:
    """It saves and removes as fast as it can."""
    facts = {"arch": None, "source": "", "recipe": {}, "scaler": {}, "best": None, "figures": {}}
    for name in ("arch.yaml", "recipe.yaml", "run.json"):
        (tmp_path / name).touch()
    tensors = {f"network.{i}": torch.zeros(9) for i in range(3)}
    save_checkpoint(tmp_path, tensors, CheckpointFacts(step=0, **facts), ALONE)

    def saves() -> None:
        for step in range(1, 60):
            save_checkpoint(tmp_path, tensors, CheckpointFacts(step=step, **facts), ALONE)
            prune(tmp_path, 1, None)

    trainer = Thread(target=saves)
    trainer.start()
    seen = set()
    while trainer.is_alive():
        with locked_checkpoint(tmp_path) as path:
            assert read_facts(path).step == int(path.name[-8:])
            seen.add(path)
            with open_weights(path) as found:
                assert len(found.shapes) == 3
    trainer.join()
    assert len(seen) > 3
    assert len(checkpoints_in(tmp_path)) <= 2


def test_some_of_a_runs_classes_are_tested(filmed: Path, tmp_path: Path, capsys: Any) -> None:
    """Scores of all its classes, by name; weights alone know no names, and the fix that is told works."""
    data = tmp_path / "data"
    shutil.copytree(filmed, data)
    done = run(tmp_path / "run", data, **three())
    options: dict[str, Any] = {"device": "cpu", "quiet": True}
    whole = archdsl.evaluate(tmp_path / "run", data, **options)
    for split in ("train", "val"):
        shutil.rmtree(data / split / "b")
    some = archdsl.evaluate(tmp_path / "run", data, **options)
    assert some.classes == ("a", "c", "b")
    assert some.names == tuple(name for name in whole.names if not name.startswith("b/"))
    rows = [i for i, name in enumerate(whole.names) if not name.startswith("b/")]
    assert torch.equal(some.scores, whole.scores[rows][:, [0, 2, 1]])
    best = whole.scores[rows].argmax(1)
    assert some.figures["top1"] == pytest.approx((best == whole.labels[rows]).double().mean().item())
    torch.save(done.network.state_dict(), tmp_path / "w.pt")
    alone: dict[str, Any] = {"recipe": short(), "weights": tmp_path / "w.pt"} | options
    with pytest.raises(SpecError, match="has another number of classes than the videos") as caught:
        archdsl.evaluate(three()["arch"], data, **alone)
    assert (
        caught.value.faults[0].fix
        == "add an empty folder for each class without videos, or list all names in classes.txt"
    )
    (data / "val" / "b").mkdir()
    assert torch.equal(archdsl.evaluate(three()["arch"], data, **alone).scores, whole.scores[rows])
    with pytest.raises(SpecError, match="weights of another network") as caught:
        archdsl.evaluate(change(small(), "head.classes", 2), data, **alone)
    assert caught.value.faults[0].fix == "--classes 3"


class Several(MovingDigits):
    """Two of the eight classes, of which a video may have both."""

    multi_label = True  # type: ignore[assignment]

    @property
    def classes(self) -> tuple[str, ...]:
        return super().classes[1:3]

    def read(self, index: int, take: Any) -> Any:
        return super().read(index, take)._replace(targets=torch.eye(2)[index % 2])

    def draw(self, index: int) -> Any:
        return index % 2, super().draw(index)[1]


def test_some_classes_of_several_labels_are_tested(tmp_path: Path) -> None:
    run(tmp_path, recipe=short(steps=2))
    made = archdsl.evaluate(tmp_path, Several(8, 1, frames=4, size=32), device="cpu", quiet=True)
    assert made.labels.shape == made.scores.shape == (8, 8)
    assert made.labels.sum(0).tolist() == [4, 4, 0, 0, 0, 0, 0, 0]
    assert list(made.figures) == ["map"]


@pytest.mark.parametrize("place", ["metrics.jsonl", "tensorboard"])
def test_a_disk_that_fills_between_saves_is_one_error(place: str, tmp_path: Path, monkeypatch: Any) -> None:
    """With its path and what to do, which works."""
    run(tmp_path / "whole", recipe=short(save_every=2))
    module, name = {"metrics.jsonl": (folder, "append_line"), "tensorboard": (EventFile, "write")}[place]
    real, written = getattr(module, name), []

    def full(*given: Any) -> None:
        written.append(given)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        with pytest.raises(SpecError, match=f"cannot write {tmp_path / 'part'}") as caught:
            run(tmp_path / "part", recipe=short(save_every=2))
    (fault,) = caught.value.faults
    assert fault.got == "No space left on device"
    assert fault.fix == "make room; the same command then resumes from the last checkpoint"
    run(tmp_path / "part", recipe=short(save_every=2))
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


def test_a_log_beyond_a_named_checkpoint_is_kept_too(tmp_path: Path) -> None:
    run(tmp_path, recipe=short(save_every=4))
    shutil.rmtree(checkpoints_in(tmp_path)[-1])
    run(tmp_path, recipe=short(save_every=4), resume=checkpoints_in(tmp_path)[0])
    assert [one["step"] for one in entries(tmp_path / "abandoned" / "after_step_00000004")] == [1, 2, 3, 4, 5, 6, 6]


def test_a_reader_is_waited_for_where_its_checkpoint_moves(tmp_path: Path) -> None:
    run(tmp_path, recipe=short(steps=4))
    older, last = checkpoints_in(tmp_path)
    moved = []
    thread = Thread(target=lambda: moved.append(roll_back(tmp_path, older, 2)))
    with locked_checkpoint(tmp_path) as path:
        assert path == last
        thread.start()
        thread.join(0.2)
        assert read_facts(path).step == 4
        assert not moved
    thread.join()
    assert checkpoints_in(moved[0]) == [moved[0] / "checkpoints" / last.name]
    with locked_checkpoint(tmp_path) as path:
        assert path == older


def test_tensorboard_shows_the_log(tmp_path: Path) -> None:
    """Of a run that went on, too: a step that was done again counts once."""
    run(tmp_path, recipe=short(steps=4, keep=9))
    run(tmp_path, recipe=short(steps=4, keep=9), resume=checkpoints_in(tmp_path)[0])
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {one.step: pytest.approx(one.value) for one in shown.Scalars("loss")} == losses(tmp_path)
    assert len(shown.Scalars("loss")) == 4
    assert set(shown.Tags()["scalars"]) == {key for entry in entries(tmp_path) for key in entry} - {"step", "epoch"}
