"""Processes that read videos die and hang; the run goes on, and says which video it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import pytest
import torch

import archdsl
from archdsl.errors import SpecError
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.reader import watchdog as watching
from archdsl.training.data.reader.workers import ignore_stop_signals, read_clips
from archdsl.training.data.synthetic.motion import MovingDigits
from tests.trained import losses, short, small


@dataclass(frozen=True)
class Deadly(MovingDigits):
    """Moving digits; who reads a certain one is killed, or sleeps."""

    how: str = ""
    at: int = 2
    deaths: Path = Path()
    """A file with a letter for each time."""

    def read(self, index: int, take: ClipRequest) -> Sample:
        if index == self.at and len(self.deaths.read_text()) < (1 if self.how == "once" else 1000):
            with self.deaths.open("a") as file:
                file.write("x")
            if self.how == "sleeps":
                sleep(1000)
            elif self.how == "exits":
                os._exit(9)
            os.kill(os.getpid(), signal.SIGSEGV if self.how == "faults" else signal.SIGKILL)
        return super().read(index, take)


def deadly(how: str, folder: Path, at: int = 2) -> Deadly:
    (folder / "deaths").touch()
    return Deadly(count=16, seed=0, frames=4, size=32, how=how, at=at, deaths=folder / "deaths")


def asked(steps: int) -> Iterator[list[tuple[int, ClipRequest]]]:
    """Batches of two of four videos, in turn."""
    return ([((2 * step + i) % 4, ClipRequest(step)) for i in (0, 1)] for step in range(steps))


def kinds(found: list[list[Sample | Unreadable]]) -> list[list[bool]]:
    return [[isinstance(one, Sample) for one in batch] for batch in found]


def test_a_video_whose_reader_dies_once_is_read_again(tmp_path: Path) -> None:
    before, lost = set(active_children()), {}
    batches = list(read_clips(deadly("once", tmp_path), asked(8), 2, given_up=lost))
    plain = list(read_clips(MovingDigits(16, 0, frames=4, size=32), asked(8), 0))
    assert [wanted for wanted, _, _ in batches] == [wanted for wanted, _, _ in plain]
    for (_, found, _), (_, given, _) in zip(batches, plain):
        assert all(torch.equal(one.frames["clip"], other.frames["clip"]) for one, other in zip(found, given))
    assert lost == {}
    assert (tmp_path / "deaths").read_text() == "x"
    assert not set(active_children()) - before


HOW = {
    "kills": "the worker that read it was killed by SIGKILL, possibly out of memory",
    "faults": "the worker that read it was killed by SIGSEGV",
    "exits": "the worker that read it exited with code 9",
    "sleeps": "reading it takes longer than 1 s",
}


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how != "kills")) for how in HOW])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_video_whose_readers_die_is_unreadable(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "HANG_SECONDS", 1.0)
    videos, lost = deadly(how, tmp_path, at=0), {}
    found = [found for _, found, _ in read_clips(videos, asked(4), 2, given_up=lost)]
    assert kinds(found) == [[False, True], [True, True]] * 2
    assert {(one.name, one.reason) for one in (found[0][0], found[2][0])} == {(videos.name(0), HOW[how])}
    assert lost == {0: HOW[how]}
    assert (tmp_path / "deaths").read_text() == ("x" if how == "sleeps" else "xx")  # waiting once is enough
    begun = perf_counter()
    found = [found for _, found, _ in read_clips(videos, asked(2), 1, given_up=lost)]
    assert kinds(found) == [[False, True], [True, True]]
    assert perf_counter() - begun < 4


def test_a_video_that_hangs_the_process_that_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without readers beside it: its thread is left behind, and the video is not read again."""
    monkeypatch.setattr(watching, "HANG_SECONDS", 0.3)
    videos, lost = deadly("sleeps", tmp_path), {}
    found = [found for _, found, _ in read_clips(videos, asked(4), 0, given_up=lost)]
    assert kinds(found) == [[True, True], [False, True]] * 2
    assert lost == {2: "reading it takes longer than 0.3 s"}
    assert (tmp_path / "deaths").read_text() == "x"


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_video_for_which_torch_finds_no_memory(workers: int) -> None:
    class Large(MovingDigits):
        def read(self, index: int, take: ClipRequest) -> Sample:
            return super().read(index, take) if index else torch.empty(1 << 60, dtype=torch.uint8)

    (_, found, _), *_ = read_clips(Large(4, 0, frames=4, size=32), asked(1), workers)
    assert kinds([found]) == [[False, True]]
    assert found[0].reason == "out of memory for its frames"


def test_a_reader_dies_as_the_network_trains(tmp_path: Path) -> None:
    """Nothing is raised there: torch's own handler would."""
    feed = read_clips(deadly("once", tmp_path), asked(4), 1)
    next(feed)
    end = perf_counter() + 20
    while not (tmp_path / "deaths").read_text() and perf_counter() < end:
        sum(range(1000))
    for _ in range(300):
        sleep(0.001)
    assert (tmp_path / "deaths").read_text() == "x"
    assert len(list(feed)) == 3


@pytest.mark.slow
def test_readers_that_end_before_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.training.data.reader.workers.ignore_stop_signals", lambda worker: os._exit(3))
    with pytest.raises(SpecError) as caught:
        list(read_clips(MovingDigits(4, 0, frames=4, size=32), asked(2), 1))
    assert str(caught.value) == (
        "data-loading workers keep crashing\n"
        "  got     twice in a row, before reading any video: the worker that read it exited with code 3\n"
        "  want    memory for all workers\n"
        "  fix     fewer --workers"
    )


def test_a_mistake_in_a_reader_is_no_death() -> None:
    class Wrong(MovingDigits):
        def read(self, index: int, take: ClipRequest) -> Sample:
            raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        list(read_clips(Wrong(4, 0, frames=4, size=32), asked(2), 1))


@pytest.mark.slow
def test_a_run_goes_on_where_readers_die(tmp_path: Path) -> None:
    """Two epochs. A reader that dies once leaves no trace; a video that always kills is skipped and named."""
    recipe, tests = short(steps=4, evaluate_every=2), MovingDigits(8, 1, frames=4, size=32)

    def run(name: str, videos: Any, workers: int) -> Any:
        return archdsl.train(
            small(), recipe, (videos, tests), out=tmp_path / name, device="cpu", workers=workers, quiet=True
        )

    plain = run("plain", MovingDigits(16, 0, frames=4, size=32), 0)
    videos = deadly("once", tmp_path)
    once = run("once", videos, 2)
    assert losses(tmp_path / "once") == losses(tmp_path / "plain")
    assert once.skipped == plain.skipped == {}
    always = run("always", replace(videos, how="kills"), 2)
    assert always.step == 4
    assert always.skipped == {videos.name(2): HOW["kills"]}
    (line,) = (tmp_path / "always" / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line) == {"name": videos.name(2), "reason": HOW["kills"]}
    assert str(always.skips).startswith("1 videos could not be read (2 clips)")
    assert (tmp_path / "deaths").read_text() == "xxx"


def test_a_reader_leaves_ctrl_c_to_the_training_and_ends_when_it_is_told() -> None:
    """Whatever handlers the training has: a reader inherits them."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        for one in before:
            signal.signal(one, lambda *_: None)
        ignore_stop_signals(0)
        assert [signal.getsignal(one) for one in before] == [signal.SIG_IGN, signal.SIG_DFL]
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
