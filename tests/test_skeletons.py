"""Skeletons as clips: joints by persons, graphs of bones, counts and outputs of the originals, what is refused."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.backend.runtime.skeleton import by_direction, by_distance
from archdsl.blocks import Conv, GraphBlock
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.language.skeleton import SKELETONS, Skeleton
from archdsl.ops import Shape
from archdsl.testing import check, graph_of
from archdsl.training.data.synthetic.scenes import skeleton_of
from archdsl.training.data.synthetic.truth import draw_truth

COUNTS = {
    # params, macs, and those with two for each element of a batch norm; mmaction2 1.2.0, Uason-Chen/CTR-GCN@e13d758
    "stgcn": (3_088_704, 3_811_714_560, 3_822_179_760),
    "stgcn_3d": (3_098_832, 5_697_615_360, 5_713_005_360),
    "stgcnpp": (1_393_016, 1_926_353_360, 1_947_725_760),
    "stgcnpp_3d": (1_403_144, 2_925_025_360, 2_956_455_360),
    "agcn": (3_459_344, 4_336_106_760, 4_348_747_960),
    "agcn_3d": (3_469_520, 6_469_140_360, 6_487_730_360),
    "ctrgcn": (1_446_672, 1_939_164_160, 1_954_748_160),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs, plan.count("fvcore")) == COUNTS[name]


def test_means_over_a_chain_by_hand() -> None:
    """0 - 1 - 2 about 0: joint 1 has itself, 2, which is farther from 0, and 0, which is nearer."""
    bones = ((1, 0), (2, 1))
    itself, outer, inner = by_distance(3, bones, 0)
    assert itself.diag().tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 2])
    assert (outer[:, 1].tolist(), inner[:, 1].tolist()) == (pytest.approx([0, 0, 1 / 3]), pytest.approx([1 / 3, 0, 0]))
    assert by_direction(3, bones)[1].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert torch.equal(by_direction(3, bones)[2], by_direction(3, bones)[1].T)


def test_a_mix_by_hand() -> None:
    """Two joints, one channel a part: the first part is each joint itself, the second what its bone leads to."""
    op = ops.GraphMix(bones=((1, 0),), partition="direction", learnt="matrix")
    network = build_graph(graph_of(op, (Shape(3, 1, 2, 1),)))
    x = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]).view(1, 3, 1, 2, 1)
    assert network(x).flatten().tolist() == [1 + 200, 2 + 10]
    assert op.cost(Shape(3, 1, 2, 1)).matmul_macs == 3 * 2 * 2


def test_likeness_by_hand() -> None:
    """One frame, two joints of a bone: [1, 2] compared with [3, 5] in each part, over one channel."""
    op = ops.AdaptiveGraphMix(bones=((1, 0),))
    shapes = (Shape(1, 1, 2, 1), *[Shape(3, 1, 2, 1)] * 2)
    network = build_graph(graph_of(op, shapes))
    network.op.alpha.data.fill_(0.5)
    x, one, other = (torch.tensor(v).view(1, -1, 1, 2, 1) for v in ([1.0, 10.0], [0.1, 0.2] * 3, [3.0, 5.0] * 3))
    likeness = 0.5 * torch.tensor([[0.3, 0.5], [0.6, 1.0]]).tanh()
    want = [torch.tensor([1.0, 10.0]) @ (means + likeness) for means in by_direction(2, ((1, 0),))]
    torch.testing.assert_close(network({"x0": x, "x1": one, "x2": other}).flatten(), torch.cat(want))
    assert op.cost(*shapes).matmul_macs == 3 * 2 * 2 + 3 * 2 * 2


@pytest.mark.parametrize("name", ["agcn", "ctrgcn"])
def test_persons_are_read_apart(name: str) -> None:
    network = archdsl.build(small(name)).eval()
    x = torch.randn(1, 3, 8, 17 if name == "agcn" else 25, 2)
    other = x.clone()
    other[..., 1] += 1
    with torch.no_grad():
        first, second = (network.joints.stage1[1](one)[..., 0] for one in (x, other))
    torch.testing.assert_close(first, second)


def small(name: str) -> Arch:
    """Eight frames, one block of each width."""
    arch = archdsl.load(name, frames=8, classes=5)
    stages = {key: Stage(*stage.blocks[:2]) for key, stage in arch.pathways["joints"].stages.items()}
    return arch.but(pathways={"joints": arch.pathways["joints"].but(stages=stages)})


@pytest.mark.parametrize("name", ["stgcn", "stgcnpp", "agcn", "ctrgcn"])
def test_nets_of_joints_agree_with_torch(name: str) -> None:
    check(small(name))


def test_a_skeleton_of_ones_own_is_written_and_read_back() -> None:
    own = Skeleton(joints=3, bones=((1, 0), (2, 1)))
    clip = Clip(modality="skeleton", frames=4, skeleton=own, persons=2)
    pathways = {"main": Pathway(stages={"body": Stage(GraphBlock(channels=8, shortcut=False))})}
    arch = Arch(name="own", clip=clip, pathways=pathways, head=Classifier(classes=2))
    assert check(arch).inputs["clip"] == (3, 4, 3, 2)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda: Skeleton(joints=3, bones=((1, 0), (3, 1))), "a joint that the skeleton does not have"),
        (lambda: Clip(modality="skeleton", frames=4), "a skeleton clip without a skeleton"),
        (
            lambda: Clip(modality="skeleton", frames=4, skeleton="coco", height=25, width=1),
            "a skeleton clip with a size",
        ),
        (lambda: Clip(frames=4, size=8, skeleton="coco"), "`skeleton` of what is no skeleton"),
        (lambda: of_pixels(GraphBlock(channels=8)), "joints of what is no skeleton"),
    ],
)
def test_faults_of_skeletons(made: Any, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        made()
    assert what in str(caught.value)


def of_pixels(block: GraphBlock) -> archdsl.Plan:
    """A graph over a map of pixels."""
    pathways = {"main": Pathway(stages={"body": Stage(Conv(channels=8), block)})}
    return archdsl.compile(Arch(name="n", clip=Clip(frames=4, size=8), pathways=pathways, head=Classifier(classes=2)))


def test_a_clip_of_other_joints_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected torch.float32 \(n, 3, 8, 17, 2\), got \(1, 3, 8, 25, 2\)"):
        archdsl.build(small("stgcn"))(torch.zeros(1, 3, 8, 25, 2))


def test_scenes_show_digits_as_persons() -> None:
    truth = draw_truth("7", 8, 64, 64, digits=(1, 1))
    clip = Clip(modality="skeleton", frames=8, skeleton="coco", persons=2)
    shown = skeleton_of(truth, clip, torch.arange(8))
    assert shown.shape == (3, 8, 17, 2)
    assert shown[2, :, :, 0].unique().tolist() == [1]
    assert not shown[..., 1].any()
    assert float(shown[:2].abs().max()) <= 1.5


def graph_unit(part: Any, x: Tensor) -> Tensor:
    """A spatial unit of CTR-GCN by its definition, on (n, c, t, v).  model/ctrgcn.py, unit_gcn"""
    total = torch.zeros(())
    for i in range(3):
        one, other = (subset_conv(layer, i, x).mean(2) for layer in (part.one, part.other))
        relation = subset_conv(part.relation, i, torch.tanh(one[..., None] - other[..., None, :]))
        relation = relation * part.graph.alpha + part.graph.weight[i]
        total = total + torch.einsum("ncuv,nctv->nctu", relation, subset_conv(part.parts, i, x))
    return total


def subset_conv(layer: Any, i: int, x: Tensor) -> Tensor:
    """The i-th third of a pointwise convolution."""
    return F.conv2d(x, layer.weight.chunk(3)[i][..., 0], layer.bias.chunk(3)[i])


def test_relations_of_ctrgcn_by_definition() -> None:
    network = archdsl.build(small("ctrgcn")).eval()
    block = network.joints.stage1[1]
    for weights in block.parameters():
        weights.data.add_(0.1 * torch.randn_like(weights))
    x, seen = torch.randn(2, 3, 8, 25, 2), {}
    block.graph.register_forward_hook(lambda module, given, result: seen.update(y=result))
    with torch.no_grad():
        block(x)
        for person in (0, 1):
            torch.testing.assert_close(seen["y"][..., person], graph_unit(block, x[..., person]), rtol=1e-5, atol=1e-5)


STGCN = {
    r"gcn.(\d+).gcn.conv_d.(\w+)": r"joints.\1.parts.\2",
    r"gcn.(\d+).gcn.conv_a.(\w+)": r"joints.\1.one.\2",
    r"gcn.(\d+).gcn.conv_b.(\w+)": r"joints.\1.other.\2",
    r"gcn.(\d+).gcn.alpha": r"joints.\1.graph.alpha",
    r"data_bn.(\w+)": r"joints.stage1.0.norm.\1",
    r"gcn.(\d+).gcn.PA": r"joints.\1.graph.weight",
    r"gcn.(\d+).gcn.A": r"joints.\1.graph.weight",
    r"gcn.(\d+).gcn.conv.(\w+)": r"joints.\1.parts.\2",
    r"gcn.(\d+).gcn.bn.(\w+)": r"joints.\1.graph_norm.\2",
    r"gcn.(\d+).gcn.down.0.(\w+)": r"joints.\1.down.\2",
    r"gcn.(\d+).gcn.down.1.(\w+)": r"joints.\1.down_norm.\2",
    r"gcn.(\d+).tcn.conv.(\w+)": r"joints.\1.time.\2",
    r"gcn.(\d+).tcn.bn.(\w+)": r"joints.\1.time_norm.\2",
    r"gcn.(\d+).tcn.branches.(\d).0.(\w+)": r"joints.\1.time+\2_reduce.\3",
    r"gcn.(\d+).tcn.branches.(\d).1.(\w+)": r"joints.\1.time+\2_reduce_norm.\3",
    r"gcn.(\d+).tcn.branches.(\d).3.conv.(\w+)": r"joints.\1.time+\2.\3",
    r"gcn.(\d+).tcn.branches.5.(\w+)": r"joints.\1.point.\2",
    r"gcn.(\d+).tcn.transform.0.(\w+)": r"joints.\1.join_norm.\2",
    r"gcn.(\d+).tcn.transform.2.(\w+)": r"joints.\1.mix.\2",
    r"gcn.(\d+).residual.conv.(\w+)": r"joints.\1.shortcut.\2",
    r"gcn.(\d+).residual.bn.(\w+)": r"joints.\1.shortcut_norm.\2",
    r"fc.(\w+)": r"head.classifier.\1",
}
PLACES = ["stage1.1", "stage1.2", "stage1.3", "stage1.4", *(f"stage{s}.{i}" for s in (2, 3) for i in range(3))]


def ours_named(name: str, mixed: bool) -> str:
    """Their name of a weight as ours."""
    rules = {**STGCN, r"gcn.(\d+).tcn.bn.(\w+)": r"joints.\1.mix_norm.\2" if mixed else r"joints.\1.time_norm.\2"}
    new = next((re.sub(old, to, name) for old, to in rules.items() if re.fullmatch(old, name)), "")
    new = re.sub(r"joints\.(\d+)\.", lambda of: f"joints.{PLACES[int(of[1])]}.", new)
    return re.sub(r"time\+(\d)", lambda of: f"time{int(of[1]) + 1}", new)


def parts_joined(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """AAGCN's convolutions of the three parts as one each: their names end in a number."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        one = re.sub(r"(conv_[abd])\.\d", r"\1", name)
        found[one] = torch.cat([found[one], value]) if one in found else value
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["stgcn", "stgcnpp", "agcn"])
def test_scores_of_mmaction(mmaction: Any, name: str) -> None:
    """With running statistics of their own, at 12 frames."""
    graph = dict(layout="coco", mode="stgcn_spatial" if name == "stgcn" else "spatial")
    more = {
        "stgcn": dict(type="STGCN"),
        "stgcnpp": dict(type="STGCN", gcn_adaptive="init", gcn_with_res=True, tcn_type="mstcn"),
        "agcn": dict(type="AAGCN", gcn_attention=False),
    }[name]
    registry = sys.modules["mmaction.registry"].MODELS
    backbone = registry.build(dict(graph_cfg=graph, **more))
    head = registry.build(dict(type="GCNHead", num_classes=60, in_channels=256))
    torch.manual_seed(0)
    theirs = {**backbone.state_dict(), **head.state_dict()}
    for key, value in theirs.items():
        if value.is_floating_point() and not key.endswith(".A"):
            noise = (0.1 if value.ndim == 1 else 0.01) * torch.randn_like(value)
            value.add_(noise.abs() if key.endswith("var") else noise)
    ours = archdsl.build(archdsl.load(name, frames=12)).eval()
    mine = ours.state_dict()
    theirs.pop("A", None)  # the means that each block's own begin with
    skip = (".A",) if name == "stgcn" else ("\0",)
    values = {
        ours_named(key, name == "stgcnpp"): v for key, v in parts_joined(theirs).items() if not key.endswith(skip)
    }
    assert sorted(values) == sorted(mine)
    ours.load_state_dict({key: value.reshape(mine[key].shape) for key, value in values.items()})
    x = torch.randn(2, 2, 12, 17, 3)
    with torch.no_grad():
        want = head.eval()(backbone.eval()(x))
        got = ours(x.permute(0, 4, 2, 3, 1))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


def test_named_skeletons_are_trees_about_their_centres() -> None:
    for one in SKELETONS.values():
        assert len(one.bones) >= one.joints - 1
        reached = {one.centre}
        for _ in one.bones:
            reached |= {joint for bone in one.bones if set(bone) & reached for joint in bone}
        assert reached == set(range(one.joints))


RGBPOSE = {
    r"(rgb|pose)_path.conv1.conv.(\w+)": r"\1.stem.0.conv.\2",
    r"(rgb|pose)_path.conv1.bn.(\w+)": r"\1.stem.0.norm.\2",
    r"(rgb|pose)_path.layer(\d).(\d+).conv(\d).conv.(\w+)": r"\1.res+\2.\3.conv_\4.\5",
    r"(rgb|pose)_path.layer(\d).(\d+).conv(\d).bn.(\w+)": r"\1.res+\2.\3.norm_\4.\5",
    r"(rgb|pose)_path.layer(\d).(\d+).downsample.conv.(\w+)": r"\1.res+\2.\3.shortcut.\4",
    r"(rgb|pose)_path.layer(\d).(\d+).downsample.bn.(\w+)": r"\1.res+\2.\3.shortcut_norm.\4",
    r"rgb_path.layer(\d)_lateral.conv.(\w+)": r"edges.res+\1.pose_to_rgb.conv.\2",
    r"pose_path.layer(\d)_lateral.conv.(\w+)": r"edges.res+\1.rgb_to_pose.conv.\2",
    r"pose_path.layer(\d)_lateral.bn.(\w+)": r"edges.res+\1.rgb_to_pose.norm.\2",
    r"fc_(rgb|pose).(\w+)": r"head.\1.classifier.\2",
}


def test_counts_of_two_streams_of_different_pixels() -> None:
    """mmaction2 1.2.0, configs/skeleton/posec3d/rgbpose_conv3d; its multiply-adds are without the two classifiers."""
    plan = archdsl.compile(archdsl.load("rgbpose_conv3d"))
    assert (plan.params, plan.macs) == (36_147_928, 58_005_061_632 + 60 * (2048 + 512))
    assert plan.graph.grids["pose.res2.3.act"].h.step == plan.graph.grids["rgb.res3.3.act"].h.step == 8


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_rgbpose(mmaction: Any) -> None:
    registry = sys.modules["mmaction.registry"].MODELS
    backbone = registry.build(dict(type="RGBPoseConv3D", speed_ratio=4, channel_ratio=4)).eval()
    head = registry.build(
        dict(type="RGBPoseHead", num_classes=60, in_channels=[2048, 512], loss_components=["rgb", "pose"])
    ).eval()
    theirs = {**backbone.state_dict(), **head.state_dict()}
    torch.manual_seed(0)
    ours = archdsl.build(archdsl.load("rgbpose_conv3d", frames=2)).eval()
    mine, values = ours.state_dict(), {}
    for name, value in theirs.items():
        new = next(re.sub(old, to, name) for old, to in RGBPOSE.items() if re.fullmatch(old, name))
        new = re.sub(r"res\+(\d)", lambda of: f"res{int(of[1]) + 1}", new)
        new = re.sub(r"(conv|norm)_([123])", lambda of: f"{of[1]}_{'abc'[int(of[2]) - 1]}", new)
        values[new] = value.uniform_(0.5, 1.5) if new.endswith("running_var") else value
    assert sorted(values) == sorted(mine)
    ours.load_state_dict(values)
    frames, maps = torch.randn(1, 3, 2, 224, 224), torch.rand(1, 17, 8, 56, 56)
    with torch.no_grad():
        got, want = ours({"rgb_clip": frames, "pose_clip": maps}), head(backbone(frames, maps))
    for name in ("rgb", "pose"):
        torch.testing.assert_close(got[name], want[name], rtol=1e-5, atol=1e-5 * float(want[name].abs().max()))


def test_a_graph_block_in_words() -> None:
    one = GraphBlock(channels=64, graph="channels", kernel_t=5, dilations=(1, 2))
    assert one.summary(3) == ("graph, channels, 64", "5×1² and 3 beside it, 64")
    assert GraphBlock(channels=64).summary(3) == ("graph, masked, 64", "9×1², 64")
