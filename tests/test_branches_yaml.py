"""Branches written in YAML: an Inception module, with a block drawn in the same file within it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.blocks import Branches, Conv, Drawn, GlobalPool, MaxPool
from archdsl.language import Arch, Clip, Features, Pathway, Stage
from archdsl.testing import check

TEXT = """
name: small_inception
clip: {frames: 1, size: 16}
blocks:
  halved: {fields: {out: null}, steps: {go: {conv: {out_channels: $out, kernel: [1, 1, 1]}}}}
pathways:
  main:
    stages:
      mixed:
        branches:
          branches:
            b0: {conv: {channels: 4}}
            b1: [{conv: {channels: 2}}, {conv: {channels: 6, kernel: [1, 3, 3]}, repeat: 2}]
            b2: {halved: {out: 3}}
            b3:
            - max_pool: {kernel: [1, 3, 3]}
            - conv: {channels: 4}
            same: []
head: {classifier: {classes: 3}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(text.lstrip())
    return path


def test_an_inception_module_in_yaml(tmp_path: Path) -> None:
    arch = archdsl.load(written(tmp_path, TEXT))
    (block,) = arch.pathways["main"].stages["mixed"].blocks
    assert isinstance(block, Branches)
    assert block.branches["b1"] == (Conv(channels=2), *[Conv(channels=6, kernel=(1, 3, 3))] * 2)
    assert isinstance(block.branches["b2"][0], Drawn)
    assert block.branches["b3"][0] == MaxPool(kernel=(1, 3, 3))
    plan = check(arch)
    assert plan.shapes["main.mixed"].c == 4 + 6 + 3 + 4 + 3


@pytest.mark.parametrize(
    ("was", "is_", "want"),
    [
        (
            "conv: {channels: 4}\n            same",
            "conv: {channels: 4, kernl: 1}\n            same",
            "unknown field 'kernl'\n"
            "  at      pathways.main.stages.mixed.branches.b3.kernl\n"
            "  written net.yaml:16\n"
            "  got     kernl: 1\n"
            "  want    channels, kernel, stride, dilation, pad, groups, bias, norm, act, init\n"
            "  fix     kernel",
        ),
        (
            "kernel: [1, 3, 3]}\n            -",
            "kernel: [1, 3, 3], stride: [1, 2, 2]}\n            -",
            "concat of maps that differ in h, w\n"
            "  at      main.mixed.0.join\n"
            "  written net.yaml:10\n"
            "  got     h=16, w=16 and h=8, w=8\n"
            "  want    equal h, w",
        ),
        (
            "same: []",
            "join: []",
            "a branch named 'join'\n"
            "  at      pathways.main.stages.mixed\n"
            "  written net.yaml:10\n"
            "  got     join\n"
            "  want    another name than join and act",
        ),
    ],
)
def test_faults_within_branches_name_their_place(tmp_path: Path, was: str, is_: str, want: str) -> None:
    assert TEXT.count(was) == 1
    with pytest.raises(archdsl.SpecError) as error:
        archdsl.compile(archdsl.load(written(tmp_path, TEXT.replace(was, is_))))
    assert str(error.value) == want


def test_a_product_of_branches_gates_every_channel() -> None:
    """A map times what its mean says of each channel."""
    branches = Branches(branches={"map": (), "mean": (GlobalPool(),)}, merge="product")
    arch = Arch(
        name="net",
        clip=Clip(frames=2, size=4),
        pathways={"main": Pathway(stages={"body": Stage(branches)})},
        head=Features(),
    )
    check(arch)
    x = torch.randn(1, 3, 2, 4, 4)
    torch.testing.assert_close(archdsl.build(arch)(x), x * x.mean((2, 3, 4), keepdim=True))
