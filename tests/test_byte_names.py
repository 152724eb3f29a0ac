"""Names that are not UTF-8 go from the disk through training and testing to every file that is written, and back."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from xml.dom import minidom

import pytest
from filmed import film, numbered_frames

import archdsl
from archdsl.cli import main
from archdsl.errors import printable
from archdsl.language import change
from tests.trained import short, small

CLASSES = [os.fsdecode(name) for name in (b"a", b"caf\xe9", b"caf\xe8", b"=1\r\n\x1b[2J")]
"""Two of them differ in a byte that is not UTF-8; one is a formula, and commands a terminal."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    made = film(root / "v.mp4", numbered_frames(6, 32, 32))
    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            (root / split / name / os.fsdecode(b"v\xff.mp4")).write_bytes(made.read_bytes())
            (root / split / name / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"no video")
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "one"
    recipe = short(steps=2, most_skipped=0.9, evaluate_every=2)
    archdsl.train(change(small(), "head.classes", len(CLASSES)), recipe, str(data), out=out, device="cpu", quiet=True)
    return out


def test_a_run_notes_classes_and_skipped_videos(run: Path) -> None:
    assert sorted(json.loads((run / "run.json").read_text())["classes"]) == sorted(CLASSES)
    names = {json.loads(line)["name"] for line in (run / "skipped.jsonl").read_text().splitlines()}
    assert names <= {f"{name}/{os.fsdecode(bytes([98, 97, 100, 255]))}.mp4" for name in CLASSES}
    assert names


def test_tables_pages_and_lists_of_a_test(run: Path, data: Path, tmp_path: Path) -> None:
    argv = ["evaluate", str(run), "--data", str(data), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*argv, "--quiet"]) == 0
    out = tmp_path / "out"
    videos = [json.loads(line) for line in (out / "videos.jsonl").read_text().splitlines()]
    assert sorted(one["name"] for one in videos) == sorted(f"{name}/v\udcff.mp4" for name in CLASSES)
    assert all(set(one["classes"]) <= set(CLASSES) for one in videos)
    rows = list(csv.reader((out / "classes.csv").read_text().splitlines()))
    shown = [printable(name).replace("\n", r"\n") for name in CLASSES]
    assert sorted(row[0] for row in rows[1:]) == sorted(f"'{name}" if name[0] == "=" else name for name in shown)
    for name in ("classes.svg", "confusion.svg"):
        assert r"caf\xe9" in minidom.parse(str(out / name)).toxml()


def test_what_is_said_of_them(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(data), "--workers", "0"]) == 1
    said = capsys.readouterr()
    assert r"caf\xe9" in said.out
    assert r"caf\xe9/bad\xff.mp4" in said.err
    assert "\x1b" not in said.out + said.err
    assert main(["data", "check", str(data), "--workers", "0", "--json"]) == 1
    assert set(json.loads(capsys.readouterr().out)["classes"]) == set(CLASSES)
