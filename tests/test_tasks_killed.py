"""Runs of tasks that are killed at random moments: the same command goes on to the same weights, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from safetensors.torch import load_file

from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.training.state.checkpoints import checkpoints_in
from tests import (
    test_action_detection,
    test_detection_task,
    test_features_task,
    test_flow_task,
    test_key_points_task,
    test_masked_tasks,
    test_own_labels,
    test_segmentation,
    test_shape_detection,
    test_sound,
)
from tests.processes import ROOT
from tests.tiny_localisers import tiny_bmn, tiny_tal
from tests.tiny_towers import tiny_towers
from tests.tiny_writer import tiny_writer
from tests.trained import GROUPS, losses

pytestmark = pytest.mark.slow
ARCHES = {
    "actions": test_action_detection.tiny(),
    "things": test_detection_task.moving(),
    "queries": test_detection_task.queries(),
    "cells": test_detection_task.celled(),
    "regions": test_detection_task.cutting(),
    "proposals": tiny_bmn(),
    "segments": tiny_tal(),
    "words": tiny_writer(),
    "texts": tiny_towers(),
    "names of classes": tiny_towers(8, prompts=True),
    "bare": test_features_task.BARE,
    "given features": test_features_task.predictor(),
    "places of points": test_key_points_task.tiny_pose("places"),
    "maps of points": test_key_points_task.tiny_pose(),
    "masks of boxes": test_shape_detection.tiny_shapes(),
    "points of boxes": test_shape_detection.tiny_shapes("points"),
    "flow": test_flow_task.tiny(size=32),
    "verbs and nouns": test_own_labels.kitchen(norm=GROUPS),
    "sound": test_sound.hearing(classes=8),
    "pixels": test_segmentation.tiny(),
    "hidden pixels": test_masked_tasks.tiny(),
    "hidden features": test_masked_tasks.tiny("features"),
}
KILLS = 4


def command(net: Path, out: Path) -> list[str]:
    """Twelve steps with crops, mirror images, a moving average and checkpoints."""
    crop = 'recipe.augment={"flip": 0.5, "crop": {"jitter": {"short_side": [36, 48]}}}'
    settings = [crop, "recipe.save_every=1", "recipe.log_every=1", "recipe.optimizer.rate=0.01", "recipe.average=0.9"]
    given = ["--recipe", "smoke", "--steps", "12", "--batch", "8", "--data", "motion:24", "--device", "cpu", "--quiet"]
    set_ = [word for one in settings for word in ("--set", one)]
    return [sys.executable, "-m", "archdsl", "train", str(net), *given, *set_, "--out", str(out)]


@pytest.mark.parametrize("name", ARCHES)
def test_killed_at_any_moment_it_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    net, rng, killed = tmp_path / "net.yaml", Random(name), 0
    net.write_text(to_yaml(ARCHES[name]))
    subprocess.run(command(net, tmp_path / "whole"), cwd=ROOT, check=True, timeout=240, capture_output=True)
    for _ in range(3 * KILLS):
        log = tmp_path / "part/metrics.jsonl"
        before = log.stat().st_size if log.exists() else 0
        run = subprocess.Popen(command(net, tmp_path / "part"), cwd=ROOT, stdout=subprocess.DEVNULL)
        wanted = before + rng.randrange(1, 300)
        while run.poll() is None and (log.stat().st_size if log.exists() else 0) < wanted:
            try:
                run.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        killed += run.poll() is None
        run.kill()
        if run.wait() == 0 or killed == KILLS:
            break
    assert killed >= 2, "the run was over too soon"
    subprocess.run(command(net, tmp_path / "part"), cwd=ROOT, check=True, timeout=240, capture_output=True)
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    one, other = (load_file(checkpoints_in(tmp_path / out)[-1] / "tensors.safetensors") for out in ("part", "whole"))
    assert one.keys() == other.keys()
    assert all(bool((one[key] == other[key]).all()) for key in one)
