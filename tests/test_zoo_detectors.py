"""Detectors of images: figures, pyramids of maps on any backbone, and what heads refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.language.yaml_writer import to_yaml

FIGURES = {
    # torchvision's, its batch norms learnt; with frozen ones its weights count 53,120 parameters less
    "fasterrcnn_r50_fpn": (41_808_406, 215_986_953_472),
    "maskrcnn_r50_fpn": (44_454_513, 269_193_583_872),
    "keypointrcnn_r50_fpn": (59_190_378, 565_077_359_872),
    "retinanet_r50_fpn": (34_068_119, 254_469_734_400),
    "ssd300_vgg16": (35_641_826, 34_858_153_472),
    "ssdlite320_mobilenet_v3_large": (3_440_060, 583_171_904),
    # counted by hand from Caffe's layer lists
    "ssd300_vgg16_voc": (26_285_486, 31_373_537_792),
    "ssd300_mobilenet_v1_voc": (5_783_417, 1_148_479_168),
}
ANCHORS = {"ssd300_vgg16": 8732, "ssd300_mobilenet_v1_voc": 1917, "ssdlite320_mobilenet_v3_large": 3234}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == FIGURES[name]
    assert "scores" not in ANCHORS or plan.outputs["scores"][2] == ANCHORS[name]


def test_a_region_detector_at_the_size_of_its_published_figure() -> None:
    """torchvision prints 134.38 G: a square image, 1000 proposals, no mask. Its maps halve to 25 and 13."""
    plan = archdsl.compile(archdsl.load("fasterrcnn_r50_fpn", width=800))
    assert plan.macs == 134_379_721_216
    assert plan.outputs["anchor_scores"] == (1, 1, 159_882, 1)
    assert [plan.shapes[f"p{i}.level.0.conv"][2] for i in (2, 3, 4, 5)] == [200, 100, 50, 25]
    assert plan.shapes["p6.level.0.pool"][2] == 13


VIDEO = """name: net
clip: {frames: 8, size: 64}
pathways:
  slow:
    every: 4
    stages:
      stem: {conv: {channels: 8, kernel: [3, 3, 3], stride: [1, 4, 4]}}
      res3: {bottleneck: {channels: 16, kernel_t: 3, stride: 2}}
      res4: {bottleneck: {channels: 16, stride: 2}}
      res5: {bottleneck: {channels: 16, stride: 2}}
pyramid: {levels: {p3: slow.res3, p4: slow.res4, p5: slow.res5}, channels: 32, norm: batch}
head:
  region_detector:
    reads: [p3, p4, p5]
    classes: 4
    sides: [[[16, 16]], [[32, 32]], [[32, 64]]]
    proposing: {conv: {channels: 16, kernel: [1, 3, 3]}}
    count: 6
    region: [flatten_space, {linear: {channels: 12}}]
    given: 3
    given_above: 0.0
    masks: [{deconv: {channels: 4, kernel: [1, 2, 2], stride: [1, 2, 2], norm: none, act: none}}]
"""


def test_a_pyramid_on_a_backbone_of_video(tmp_path: Path) -> None:
    """Two clips, two frames of each; what is said of a clip is what is said of it alone, and of each frame its own."""
    torch.manual_seed(0)
    (tmp_path / "net.yaml").write_text(VIDEO)
    arch = archdsl.load(tmp_path / "net.yaml")
    plan = archdsl.compile(arch)
    (tmp_path / "again.yaml").write_text(to_yaml(arch))
    assert archdsl.load(tmp_path / "again.yaml") == arch
    assert plan.outputs["detections"] == (6, 2, 3, 1)
    assert plan.outputs["masks"] == (4, 6, 28, 28)
    merged = plan.graph.nodes["edges.lateral.p4_to_p3.merge"]
    assert merged.reads[1] == "edges.lateral.p4_to_p3.resize"
    assert plan.graph.nodes[merged.reads[1]].reads[0] == "edges.lateral.p5_to_p4.merge"
    network = archdsl.build(plan).eval()
    clip = torch.rand(2, 3, 8, 64, 64)
    both = network(clip)
    for i in range(2):
        for name, one in network(clip[i : i + 1]).items():
            torch.testing.assert_close(both[name][i : i + 1], one, rtol=1e-4, atol=1e-4)


def test_what_a_pyramid_refuses(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(VIDEO.replace("{p3: slow.res3", "{slow: slow.res3"))
    with pytest.raises(archdsl.SpecError, match="a level of the pyramid and a pathway with the same name 'slow'"):
        archdsl.load(tmp_path / "net.yaml")
    (tmp_path / "net.yaml").write_text(VIDEO.replace("[p3, p4, p5]", "[p3, p4]"))
    with pytest.raises(archdsl.SpecError, match="anchors of other maps than are read"):
        archdsl.compile(archdsl.load(tmp_path / "net.yaml"))
    (tmp_path / "net.yaml").write_text(VIDEO.replace("[[32, 64]]", "[[32, 64], [64, 32]]"))
    with pytest.raises(archdsl.SpecError, match="maps that share weights with other numbers of anchors"):
        archdsl.compile(archdsl.load(tmp_path / "net.yaml"))
    (tmp_path / "net.yaml").write_text(VIDEO.replace("    count: 6", "    cut_from: [p2]\n    count: 6"))
    with pytest.raises(archdsl.SpecError, match="no pathway 'p2' is read"):
        archdsl.compile(archdsl.load(tmp_path / "net.yaml"))
