"""One loop trains every network: a model of each family takes a few steps and is tested, at a small size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import archdsl
from archdsl.training import MovingDigits
from archdsl.training.loop import seed_of
from tests.trained import entries, losses, short

pytestmark = pytest.mark.slow


class Small(NamedTuple):
    """A model of the zoo at a size that a CPU trains in seconds."""

    name: str
    frames: int
    size: int


MODELS = (
    Small("alexnet", 1, 64),
    Small("c3d_ucf", 16, 32),
    Small("densenet121", 1, 32),
    Small("fast_32x2_r50", 4, 224),
    Small("googlenet", 1, 32),
    Small("i3d_inception_rgb", 16, 32),
    Small("ircsn_r50", 4, 32),
    Small("mc3_18", 4, 32),
    Small("mobilenet_v1_050", 1, 32),
    Small("movinet_a0", 8, 32),
    Small("nasnet_a_mobile", 1, 32),
    Small("nin", 1, 64),
    Small("res2net50_48w_2s", 1, 32),
    Small("resnet18", 1, 32),
    Small("s3d_g", 16, 32),
    Small("seresnet18", 1, 32),
    Small("shufflenet_v1_x0_5_g3", 1, 32),
    Small("single_frame", 1, 32),
    Small("slowfast_tiny", 16, 32),
    Small("squeezenet1_1", 1, 32),
    Small("stm_r50", 8, 32),
    Small("tanet_r50", 8, 32),
    Small("tea_r50", 8, 32),
    Small("teinet_r50", 8, 32),
    Small("tin_r50", 8, 32),
    Small("trn_r50", 8, 32),
    Small("tsm_r50", 8, 32),
    Small("tsn_r50", 8, 32),
    Small("x2d", 24, 112),
)


def test_there_are_many() -> None:
    assert len({model.name for model in MODELS}) >= 20


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_a_model_of_the_zoo_trains(model: Small, tmp_path: Path) -> None:
    """Every loss is a number, and every part of the network that has a gradient has moved."""
    arch = archdsl.load(model.name, frames=model.frames, size=model.size, classes=8)
    (clip,) = arch.clips
    data = [MovingDigits(8, seed, frames=model.frames, size=model.size, clip=clip) for seed in (0, 1)]
    recipe = short(steps=3, save_every=9, schedule__warmup=1, optimizer__rate=0.001).but(batch=4)
    run = archdsl.train(arch, recipe, (data[0], data[1]), out=tmp_path, device="cpu", quiet=True)
    assert len(losses(tmp_path)) == 3
    assert all(map(math.isfinite, losses(tmp_path).values()))
    assert entries(tmp_path)[-1].keys() >= {"top1", "top5"}
    torch.manual_seed(seed_of(recipe.seed, "weights"))
    before = dict(archdsl.build(arch).named_parameters())
    moved = [not torch.equal(weights, before[name]) for name, weights in run.network.named_parameters()]
    assert sum(moved) > 0.6 * len(moved)
