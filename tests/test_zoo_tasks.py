"""Every model of the zoo trains by one command on built-in data that fits its clips and its head."""

from __future__ import annotations

import json
import math
from pathlib import Path
from shutil import rmtree

import pytest

import archdsl
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import AnchorDetector, GridDetector, Head, SetDetector

pytestmark = pytest.mark.slow

MODELS = [model.name for model in zoo()]
SIZES = (32, 64, 112, 224, None)
FRAMES = (1, 2, 4, 8, 16, None)


def classes_of(head: Head) -> int:
    """How many scores stand for the classes of the built-in data."""
    if isinstance(head, SetDetector):
        return 12
    if isinstance(head, GridDetector) or (isinstance(head, AnchorDetector) and head.objectness):
        return 10
    return {"segmentation": 11, "detection": 11, "shape_detection": 11}.get(head.task, 8)


def smallest(name: str) -> list[str]:
    """Options for the smallest clips that a network takes, of the classes of the built-in data where it has any."""
    built_in = classes_of(archdsl.load(name).head)
    for size in SIZES:
        for frames in FRAMES:
            for classes in (built_in, None):
                given = {"size": size, "frames": frames, "classes": classes}
                given = {key: value for key, value in given.items() if value}
                try:
                    archdsl.compile(archdsl.load(name, **given))
                except SpecError:
                    continue
                return [f"--{key}={value}" for key, value in given.items()]
    raise AssertionError(f"{name} does not compile")


def beside(name: str) -> list[str]:
    """Where a clip changes the texts beside it, those are the names of all classes of the built-in data."""
    arch = archdsl.load(name)
    prompted = arch.head.task == "similarity" and any(edge.target == "text" for edge in arch.edges)
    return ["--set", "clips.words.height=8"] if prompted else []


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_by_one_command(name: str, tmp_path: Path) -> None:
    options = ["--steps=2", "--batch=4", "--data=motion:4", "--device=cpu", "--quiet", f"--out={tmp_path}"]
    given = ["--set", "recipe.optimizer.rate=0.001", "--set", "recipe.log_every=1"]
    assert main(["train", name, "--recipe", "smoke", *smallest(name), *beside(name), *options, *given]) == 0
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert len(entries) == 3
    rmtree(tmp_path)  # checkpoints of all models would fill a disk
