"""What could not be read is named once, however often a run is gone on with or a network tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import archdsl
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.skipped_videos import SkippedVideos
from tests.trained import short, small


class Holed(MovingDigits):
    """Moving digits of which the third cannot be read."""

    def name(self, index: int) -> str:
        return f"{self.seed} {super().name(index)}"

    def read(self, index: int, take: ClipRequest) -> Sample:
        if index == 2:
            raise Unreadable(self.name(index), "broken")
        return super().read(index, take)


DATA = Holed(16, 0, frames=4, size=32), Holed(8, 1, frames=4, size=32)
NAMES = [DATA[0].name(2), DATA[1].name(2)]


def named(folder: Path) -> list[str]:
    return [json.loads(line)["name"] for line in (folder / "skipped.jsonl").read_text().splitlines()]


def test_a_run_that_goes_on_names_nothing_twice(tmp_path: Path) -> None:
    def run() -> Any:
        return archdsl.train(small(), short(steps=4), DATA, out=tmp_path, device="cpu", quiet=True)

    assert run().skipped == dict.fromkeys(NAMES, "broken")
    assert named(tmp_path) == NAMES
    last = checkpoints_in(tmp_path)[-1]
    last.rename(last.with_name(f".{last.name}"))
    assert run().skipped == dict.fromkeys(NAMES, "broken")
    assert named(tmp_path) == NAMES
    for _ in range(2):
        archdsl.evaluate(tmp_path, DATA[1], out=tmp_path / "tested", device="cpu", quiet=True)
    assert named(tmp_path / "tested") == NAMES[1:]


def test_neither_do_several_processes(tmp_path: Path) -> None:
    """Another reason is told too."""
    for rank, why in ((0, "gone"), (1, "gone"), (1, "changed"), (0, "changed")):
        SkippedVideos(tmp_path, rank=rank).add(Unreadable("a", why), 9)
    assert [json.loads(line)["reason"] for line in (tmp_path / "skipped.jsonl").read_text().splitlines()] == ["gone"]
    others = (tmp_path / "skipped.1.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in others] == ["changed"]
