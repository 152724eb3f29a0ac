"""archdsl data: built-in motion as files, a look at one's videos, and their speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from archdsl.cli import main
from archdsl.language import Clip
from archdsl.recipes import recipe
from archdsl.training import MovingDigits
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.sources.discovery import videos_of

HEAD = "head: {classifier: {classes: 8}}\n"


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "motion"
    assert main(["data", "make", "motion", str(out), "--count", "16", "--frames", "8", "--size", "32"]) == 0
    return out


def test_files_show_what_memory_does(motion: Path) -> None:
    videos = videos_of(str(motion), "train", {"clip": Clip(frames=8, size=32)}, recipe("smoke"))
    digits = MovingDigits(16, 0, frames=8, size=32)
    assert len(videos) == 16
    assert videos.classes == tuple(sorted(digits.classes))
    for index in range(16):
        made = videos.read(index, ClipRequest(0))
        number = int(Path(made.name).stem)
        given = digits.read(number, ClipRequest(0))
        assert videos.classes[int(made.targets)] == digits.classes[int(given.targets)]
        # colour is halved in height and width by the encoder: edges differ, most pixels hardly do
        apart = (made.frames["clip"].float() - given.frames["clip"].float()).abs()
        assert apart.median() <= 12
        assert made.frames["clip"].shape == given.frames["clip"].shape == (3, 8, 32, 32)
        assert not torch.equal(made.frames["clip"][:, 0], made.frames["clip"][:, 7])


def test_check_counts_and_names_what_cannot_be_read(motion: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(motion), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["videos"], sum(told["classes"].values()), told["unreadable"]) == (16, 16, [])
    bad = motion / "train" / "up at 1 px per frame" / "empty.mp4"
    bad.touch()
    try:
        assert main(["data", "check", str(motion)]) == 1
        shown = capsys.readouterr()
        assert "17 videos of 8 classes" in shown.out
        assert "unreadable: up at 1 px per frame/empty.mp4: an empty file" in shown.err
    finally:
        bad.unlink()


def test_a_table_of_very_many_classes_ends(
    motion: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archdsl.cli.data.CLASSES_SHOWN", 3)
    assert main(["data", "check", str(motion)]) == 0
    out = capsys.readouterr().out
    assert "16 videos of 8 classes" in out
    assert "and 5 classes more: --json has them" in out
    assert len(out.splitlines()) < 12


def test_bench_compares_decoders_and_readers(motion: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["data", "bench", str(motion), "--frames", "4", "--workers", "1", "--seconds", "0.1", "--json"]
    assert main(given) == 0
    told = json.loads(capsys.readouterr().out)
    found = {(one["decoder"], one["workers"]): one["ratio"] for one in told}
    assert found["pyav", 0] == 1
    assert ("pyav", 1) in found


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "make", "films", str(tmp_path / "out")]) == 2
    assert "archdsl data make motion OUT" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path / "nothing")]) == 2
    assert "no such data" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_of_a_network_decodes_what_it_reads(
    motion: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    net = tmp_path / "net.yaml"
    stages = "{stem: [{conv: {channels: 4, kernel: [1, 3, 3]}}]}"
    pathways = f"{{slow: {{linspace: 2, stages: {stages}}}, fast: {{every: 4, start: 1, stages: {stages}}}}}"
    net.write_text(f"name: net\nclip: {{frames: 8, size: 16}}\npathways: {pathways}\n{HEAD}")
    given = ["data", "bench", str(motion), "--workers", "0", "--seconds", "0.1"]
    for more, frames in ((["--net", str(net)], 4), (["--frames", "6"], 6)):
        assert main([*given, *more, "--json"]) == 0
        assert [one["frames_per_clip"] for one in json.loads(capsys.readouterr().out)] == [frames]
    assert main([*given, "--net", str(net)]) == 0
    assert f"clips of {net} of {motion}" in capsys.readouterr().out
