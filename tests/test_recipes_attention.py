"""Recipes of transformers: rates by layer, several clips of a video in a batch, and two steps of each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage, change
from archdsl.language.recipes.optimizer import LayerDecay, Optimizer, ParameterGroup
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training import MovingDigits
from archdsl.training.data.clips import requests_at
from archdsl.training.optimizer import freeze_groups, layer_rates, parameter_groups

NAMES = ["main.tokens.0.conv.weight", "main.body.0.up.weight", "main.body.1.up.weight", "main.body.1.down.bias"]
NAMES += ["main.pool.1.norm.weight", "head.classifier.weight"]


def test_rates_fall_by_layers_by_hand() -> None:
    """Two layers: the last has a half, the first a quarter, what is in front of it an eighth, the head all."""
    found = layer_rates(NAMES, LayerDecay(match="main.body.*", times=0.5))
    assert [found[name] for name in NAMES] == [1 / 8, 1 / 4, 1 / 2, 1 / 2, 1, 1]


def test_layers_of_several_stages_are_counted_through() -> None:
    names = ["main.stem.0.w", "main.stage1.0.w", "main.stage1.1.w", "main.stage2.0.w", "head.w"]
    found = layer_rates(names, LayerDecay(match="main.stage*.*", times=0.5))
    assert [found[name] for name in names] == [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]


def test_rates_of_layers_and_of_groups_multiply() -> None:
    network = archdsl.build(small("videomae_vit_s", 2, 32))
    group = ParameterGroup(match="*.bias", rate=2)
    decay = LayerDecay(match="main.body.*", times=0.5)
    made = Optimizer(kind="adamw", rate=0.1, groups=(group,), layer_decay=decay)
    times = {id(p): found["times"] for found in parameter_groups(network, made) for p in found["params"]}
    named = {name: times[id(p)] for name, p in network.named_parameters()}
    assert named["main.tokens.0.conv.bias"] == 2 / 16
    assert (named["main.body.1.mlp.up.weight"], named["main.body.0.mlp.up.bias"]) == (1 / 4, 2 / 8)
    assert named["head.classifier.weight"] == 1


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        layer_rates(NAMES, LayerDecay(match="main.boddy.*", times=0.5))
    assert "layers that match no parameter: 'main.boddy.*'" in str(caught.value)


def test_each_video_is_drawn_several_times_in_a_row() -> None:
    """Four videos of two clips each are a batch of 8, seeds differ, and an epoch has each video twice."""
    first, second = (requests_at(step, 8, 8, seed=3, repeats=2) for step in (0, 1))
    indices = [index for index, _ in (*first, *second)]
    assert indices[::2] == indices[1::2]
    assert Counter(indices) == dict.fromkeys(range(8), 2)
    assert len({request.seed for _, request in (*first, *second)}) == 16


def test_classes_drawn_evenly_are_repeated_too() -> None:
    drawn = [index for index, _ in requests_at(0, 8, 4, seed=1, members=[[0, 1], [2, 3]], repeats=2)]
    assert drawn[::2] == drawn[1::2]
    assert sum(index < 2 for index in drawn) == 4


def test_an_epoch_counts_videos() -> None:
    one = Recipe(epochs=3, batch=8, optimizer=Optimizer(rate=0.1))
    two = change(one, "augment.repeats", 2)
    assert (one.steps_for(16), two.steps_for(16)) == (6, 12)
    assert two.rate_at(6, 16) == one.rate_at(3, 16)
    with pytest.raises(SpecError, match="batch not divisible by `repeats`"):
        change(one, "augment.repeats", 3)


def small(name: str, frames: int, size: int) -> Arch:
    """The model at its smallest, one or two blocks of each stage, for the eight motions."""
    arch = archdsl.load(name, frames=frames, size=size, classes=8)
    (key,) = arch.pathways
    pathway = arch.pathways[key]
    kept = {k: 6 if k in ("tokens", "probe", "pool") else 3 for k in pathway.stages}
    stages = {k: Stage(*stage.blocks[: kept[k]]) for k, stage in pathway.stages.items()}
    made: Arch = arch.but(pathways={key: pathway.but(stages=stages)})
    return made


DATA = MovingDigits(count=8, seed=0, frames=4, size=64), MovingDigits(count=2, seed=1, frames=4, size=64)
TRAINED = {
    "mvit_k400": ("mvit_v1_b_16x4", 4, 64),
    "swin_k400": ("video_swin_t", 4, 64),
    "videomae_k400": ("videomae_vit_s", 4, 64),
    "timesformer_k400": ("timesformer_divided_8x32", 4, 64),
    "uniformer_k400": ("uniformer_s", 4, 64),
    "vjepa2_probe": ("vjepa2_vitl_k400", 4, 64),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_trains_two_steps(name: str, tmp_path: Path) -> None:
    """On built-in data, at a small size, all of its fields but the views; an odd loss would be an error."""
    arch = small(*TRAINED[name])
    made = recipe(name, steps=2, batch=4, log_every=1, precision="fp32", compiled=False, channels_last=False)
    made = change(made, "views.clips", 1)
    archdsl.train(arch, made, DATA, out=tmp_path / "run", device="cpu", quiet=True)
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "loss" in entry] == [1, 2]
    assert any("top1" in entry for entry in entries)


def test_the_probe_trains_alone() -> None:
    groups = recipe("vjepa2_probe").optimizer.groups
    with torch.device("meta"):
        network = archdsl.build(archdsl.load("vjepa2_vitl_k400"))
    freeze_groups(network, groups)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert (
        trained
        == 49_746_320
        == sum(p.numel() for name, p in network.named_parameters() if name.startswith(("main.probe.", "head.")))
    )
