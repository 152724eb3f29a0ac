"""Detectors of images: figures, pyramids of maps on any backbone, and what heads refuse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.blocks import AvgPool, Conv
from archdsl.language import Pathway, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.rewrites import with_key_frames

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
    "ssd512_vgg16_voc": (27_188_676, 90_207_908_864),
    "ssd512_vgg16_coco": (36_038_196, 98_628_936_704),
    "ssd300_mobilenet_v1_voc": (5_783_417, 1_148_479_168),
    "rcnn_caffenet_ilsvrc13": (57_687_624, 721_130_016),
    "rcnn_caffenet_voc": (56_954_261, 720_396_832),
    "rcnn_vgg16_voc": (134_346_581, 15_466_254_336),
    "sppnet_zf5": (77_037_672, 1_182_712_960),
    # darknet's cfgs; what it prints is twice the multiply-adds
    "darknet19": (20_842_376, 2_790_989_824),
    "darknet53": (41_609_928, 9_285_115_904),
    "yolo_v1": (271_703_550, 20_285_153_280),
    "yolo_v1_tiny": (27_095_374, 1_608_015_360),
    "yolo_v2_voc": (50_655_389, 14_680_167_424),
    "yolo_v2_coco": (50_962_889, 31_469_126_656),
    "yolo_v3": (61_949_149, 32_932_037_632),
    "yolo_v3_spp": (62_998_749, 70_724_486_144),
    # transformers'
    "detr_r50": (41_524_768, 81_167_232_000),
    # by hand from the papers' tables
    "overfeat_fast": (145_920_872, 2_801_403_904),
    "deeppose": (58_396_060, 1_131_274_784),
    "hourglass_1": (3_426_448, 5_150_343_168),
    "hourglass_8": (25_434_112, 27_440_185_344),
}
ANCHORS = {
    "ssd300_vgg16": 8732,
    "ssd512_vgg16_voc": 24564,
    "ssd300_mobilenet_v1_voc": 1917,
    "ssdlite320_mobilenet_v3_large": 3234,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == FIGURES[name]
    assert name not in ANCHORS or plan.outputs["scores"][2] == ANCHORS[name]


def test_a_region_detector_at_the_size_of_its_published_figure() -> None:
    """torchvision prints 134.38 G: a square image, 1000 proposals, no mask. Its maps halve to 25 and 13."""
    plan = archdsl.compile(archdsl.load("fasterrcnn_r50_fpn", width=800))
    assert plan.macs == 134_379_721_216
    assert plan.outputs["anchor_scores"] == (1, 1, 159_882, 1)
    assert [plan.shapes[f"p{i}.level.0.conv"][2] for i in (2, 3, 4, 5)] == [200, 100, 50, 25]
    assert plan.shapes["p6.level.0.pool"][2] == 13


def test_forms_at_other_classes_are_the_originals() -> None:
    """Caffe's SSD300 for COCO; transformers' DETR as it is without a configuration, of two classes and none."""
    ssd = archdsl.compile(archdsl.load("ssd300_vgg16", classes=81))
    assert (ssd.params, ssd.macs) == (34_305_206, 34_360_351_232)
    assert archdsl.compile(archdsl.load("detr_r50", classes=3)).params == 41_501_895


def test_anchors_of_ssd_have_the_sides_of_its_data() -> None:
    """Pixels of the first squares and those between, as Caffe's files have them: min_size, and a mean with max_size."""
    for name, squares in {
        "ssd300_vgg16": (21, 45, 99, 153, 207, 261),
        "ssd300_vgg16_voc": (30, 60, 111, 162, 213, 264),
        "ssd512_vgg16_voc": (35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8),
        "ssd512_vgg16_coco": (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8),
    }.items():
        sides = archdsl.load(name).head.sides
        assert [level[0] for level in sides] == [pytest.approx((side, side)) for side in squares]
        between = [(a * b) ** 0.5 for a, b in pairwise(squares)]
        assert [level[1][0] for level in sides[:-1]] == pytest.approx(between)


def test_region_detectors_with_one_region() -> None:
    """Caffe's nets: trunk, proposals, and the wide layers for one box; 300 boxes cost 299 times these more."""
    wanted = {
        "fast_rcnn_vgg16_voc": (134_690_729, 183_989_231_616, 119_967_744),
        "fast_rcnn_caffenet_voc": (57_298_409, 9_272_180_608, 54_956_032),
        "faster_rcnn_vgg16_voc": (137_078_239, 189_703_575_552, 119_967_744),
        "faster_rcnn_zf_voc": (59_294_751, 17_291_009_536, 54_956_032),
    }
    for name, (params, macs, each) in wanted.items():
        one, many = (archdsl.compile(archdsl.load(name, regions=count)) for count in (1, 300))
        assert (one.params, one.macs, many.macs) == (params, macs, macs + 299 * each)
    other = dict(yolo_v2_voc=(544, 25_103_954_944), yolo_v2_coco=(416, 14_732_084_224), yolo_v3=(320, 19_486_412_800))
    for name, (size, macs) in other.items():
        assert archdsl.compile(archdsl.load(name, size=size)).macs == macs
    assert archdsl.compile(archdsl.load("sppnet_zf5_voc")).params == 73_026_709


def test_a_given_box_is_told_apart_by_its_cells() -> None:
    """Fast R-CNN: two boxes are each what one of them is alone; a box is what its own part of the image says."""
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("fast_rcnn_caffenet_voc", height=128, width=160, regions=2)).eval()
    image, boxes = torch.randn(1, 3, 1, 128, 160), torch.tensor([[0.0, 0, 60, 60], [70, 40, 159, 127]])
    both = network({"clip": image, "boxes": boxes.T.reshape(1, 4, 2, 1, 1)})
    twice = network({"clip": image, "boxes": boxes[[1, 1]].T.reshape(1, 4, 2, 1, 1)})
    torch.testing.assert_close(both["shifts"][:, :, :, 1], twice["shifts"][:, :, :, 0])
    torch.testing.assert_close(both["scores"].sum(1), torch.ones(1, 1, 2, 1))
    assert not torch.allclose(both["shifts"][:, :, :, 0], both["shifts"][:, :, :, 1])


def test_a_grid_is_said_in_darknets_order() -> None:
    """All scores cell by cell, all objectness, all boxes."""
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("yolo_v1_tiny", classes=3)).eval()
    said = []
    network.head.said.register_forward_hook(lambda m, i, y: said.append(y))
    y = network(torch.rand(1, 3, 1, 448, 448))
    flat = said[0].flatten()
    assert len(flat) == 49 * (3 + 2 * 5)
    assert y["scores"].flatten().equal(flat[:147].reshape(49, 3).T.flatten())
    assert y["objectness"].flatten().equal(flat[147:245])
    assert y["shifts"].flatten().equal(flat[245:].reshape(98, 4).T.flatten())


def test_cells_of_three_maps_are_decoded_in_their_own_pixels() -> None:
    """YOLO v3: the best box by hand, from the row that says it."""
    torch.manual_seed(0)
    network, image = archdsl.build(archdsl.load("yolo_v3", size=64, classes=5)).eval(), torch.rand(1, 3, 1, 64, 64)
    largest = network(image)["shifts"].abs().max().item()
    for i in range(3):
        torch.nn.init.normal_(network.head.get_submodule(f"map{i}.said").weight, std=1 / largest)
    y = network(image)
    chance = torch.sigmoid(y["scores"]) * torch.sigmoid(y["objectness"])
    label, row = divmod(int(chance.flatten().argmax()), chance.shape[3])
    step, first, across = next(
        (step, first, 64 // step)
        for step, first, last in ((32, 0, 12), (16, 12, 60), (8, 60, 252))
        if first <= row < last
    )
    cell, a = divmod(row - first, 3)
    width, height = {32: ((116, 90), (156, 198), (373, 326)), 16: ((30, 61), (62, 45), (59, 119))}.get(
        step, ((10, 13), (16, 30), (33, 23))
    )[a]
    x, z, w, h = y["shifts"].flatten(2)[0, :, row]
    middle = (cell % across + torch.sigmoid(x)) * step, (cell // across + torch.sigmoid(z)) * step
    half = w.exp() * width / 2, h.exp() * height / 2
    want = torch.stack([*(m - r for m, r in zip(middle, half)), *(m + r for m, r in zip(middle, half))])
    best = y["detections"][0, :, 0, 0, 0]
    assert int(best[0]) == label
    torch.testing.assert_close(best[2:], want)


def test_an_hourglass_hands_on_what_it_read() -> None:
    """What enters the second: what the first read, made of it, and said."""
    nodes = archdsl.compile(archdsl.load("hourglass_8", stacks=2)).graph.nodes
    second = nodes["edges.next1.back1_to_main.merge"]
    assert second.reads == ("edges.next1.on1.merge", "back1.back.0.conv")
    assert nodes["edges.next1.on1.merge"].reads == ("main.next1.0.conv", "main.stem.4.join")
    assert nodes["main.glass2.0.up.0.main.0.norm"].reads == ("edges.next1.back1_to_main.merge",)


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


@pytest.mark.slow
def test_an_image_detector_looks_at_key_frames_alone() -> None:
    """Faster R-CNN on four frames, two of them keys: there it says what it says of a picture; where nothing moves,
    frames between are told as their key frame is.
    """
    torch.manual_seed(0)
    image = archdsl.load("faster_rcnn_vgg16_voc", height=96, width=128, regions=5)
    (clip,) = image.clips
    several = image.but(clips={clip: image.clips[clip].but(frames=4)})
    flow = {"pool": Stage(AvgPool(kernel=(1, 16, 16), stride=(1, 16, 16))), "net": Stage(Conv(channels=8))}
    arch = with_key_frames(several, every=2, flow=Pathway(stages=flow))
    network, alone = archdsl.build(arch).eval(), archdsl.build(image).eval()
    state = network.state_dict()
    alone.load_state_dict({name: state[name] for name in alone.state_dict()})
    for part in network.edges.modules():
        if isinstance(part, torch.nn.Conv3d) and part.out_channels == 2:
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    frames = torch.randn(1, 3, 4, 96, 128)
    with torch.no_grad():
        got = network(frames)
        for key in (0, 2):
            for name, want in alone(frames[:, :, key : key + 1]).items():
                torch.testing.assert_close(got[name][:, :, key : key + 1], want, rtol=1e-4, atol=1e-4)
                torch.testing.assert_close(got[name][:, :, key + 1 : key + 2], want, rtol=1e-4, atol=1e-4)
