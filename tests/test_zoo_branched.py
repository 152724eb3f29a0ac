"""Inception, I3D, S3D, ShuffleNet, NASNet, FractalNet, Res2Net: the integers of the original implementations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.backend.runtime import join as runtime_join
from archdsl.blocks import Block, Branches, Conv, FeatureGate, Fractal, MaxPool, Norm, Res2Bottleneck
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.ops import MeanJoin, Shape

COUNTS = {
    # parameters and multiply-adds of torchvision 0.28's modules
    "googlenet": (6_624_904, 1_498_376_192),
    "inception_v3": (23_834_568, 5_713_216_096),
    "shufflenet_v2_x0_5": (1_366_792, 40_476_448),
    "shufflenet_v2_x1_0": (2_278_604, 144_907_992),
    "shufflenet_v2_x1_5": (3_503_624, 295_759_392),
    "shufflenet_v2_x2_0": (7_393_996, 583_253_464),
    # the authors' modules
    "shufflenet_v1_x0_5_g3": (717_324, 37_589_856),
    "shufflenet_v1_x1_0_g3": (1_864_728, 137_460_672),
    "shufflenet_v1_x1_5_g3": (3_441_168, 292_443_552),
    "shufflenet_v1_x2_0_g3": (5_449_776, 524_045_184),
    "shufflenet_v1_x0_5_g8": (1_010_448, 40_469_760),
    "shufflenet_v1_x1_0_g8": (2_433_768, 138_365_952),
    "shufflenet_v1_x1_5_g8": (4_268_952, 290_188_800),
    "shufflenet_v1_x2_0_g8": (6_521_232, 521_942_016),
    "shufflenet_v2_x0_5_authors": (1_365_792, 40_476_448),
    "shufflenet_v2_x1_0_authors": (2_278_760, 145_814_296),
    "shufflenet_v2_x1_5_authors": (3_506_720, 298_970_656),
    "shufflenet_v2_x2_0_authors": (7_402_600, 590_783_000),
    "res2net50_26w_4s": (25_699_120, 4_255_166_464),
}
PARAMETERS = {
    "googlenet_aux": 13_004_888,  # torchvision, aux_logits=True
    "inception_v3_aux": 27_161_264,
    "googlenet_bvlc": 6_998_552,  # BVLC's Caffe model: 13,378,280 with both auxiliary classifiers, 51 MiB
    "googlenet_bvlc_aux": 13_378_280,
    "bn_inception": 11_295_240,  # Cadene's port of the Caffe net
    "nasnet_a_mobile": 5_289_978,
    "nasnet_a_large": 88_753_150,
}
ORACLE = {
    # parameters, multiply-adds, fvcore 0.1.5; the comment is the reference row
    ("s3d", 16): (8_320_048, 17_978_771_456, 18_067_040_448),  # tv_s3d_16f_224
    ("s3d", 64): (8_320_048, 71_916_314_624, 72_269_390_592),  # tv_s3d_64f_224, s3d_bn_sepstem_check
    ("s3d", 128): (8_320_048, 143_833_038_848, 144_539_190_784),  # tv_s3d_128f_224
    ("s3d_gated", 64): (9_539_376, 71_917_533_952, 72_270_609_920),  # s3dg_bn_sepstem_64f
    ("s3d_g", 64): (9_563_760, 79_290_596_096, 79_468_708_352),  # s3dg_slim_stem7_64f
    ("s3d_g_stem3", 64): (9_526_128, 64_184_810_240, 64_362_922_496),  # s3dg_slim_stem3_64f
    ("s3d_slim", 64): (8_344_432, 79_289_376_768, 79_467_489_024),  # s3d_slim_nogate_stem7_64f
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_macs_equal_the_original(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == COUNTS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_equal_the_original(name: str) -> None:
    assert archdsl.compile(archdsl.load(name)).params == PARAMETERS[name]


@pytest.mark.parametrize(("name", "frames"), ORACLE)
def test_s3d_equals_the_reference_integer_for_integer(name: str, frames: int) -> None:
    plan = archdsl.compile(archdsl.load(name, frames=frames))
    assert (plan.params, plan.macs, plan.count("fvcore")) == ORACLE[name, frames]


def test_two_streams_have_the_parameters_of_both_and_add_scores() -> None:
    rgb, flow, both = (archdsl.compile(archdsl.load(f"i3d_inception{end}")) for end in ("_rgb", "_flow", ""))
    assert both.params == rgb.params + flow.params == 25_358_016
    assert both.inputs == {"rgb": (3, 64, 224, 224), "flow": (2, 64, 224, 224)}
    assert both.outputs == {"scores": (400,)}
    # the flow stem reads two channels of three: 7x7x7 kernels for 64 maps of 32 x 112 x 112
    assert rgb.macs - flow.macs == 64 * 343 * 32 * 112 * 112


def test_auxiliary_classifiers_are_outputs_of_their_own() -> None:
    plan = archdsl.compile(archdsl.load("googlenet_aux", classes=7))
    assert plan.outputs == {"scores": (7,), "aux1": (7,), "aux2": (7,)}
    assert plan.shapes["aux1.hidden.1"] == (128, 1, 4, 4)


def alone(block: Block, channels: int, size: int = 8, frames: int = 2) -> nn.Module:
    """A block as a network in evaluation, all norms other than the identity."""
    clip = Clip(frames=frames, size=size, channels=channels)
    pathways = dict(main=Pathway(stages=dict(one=Stage(block))))
    network = archdsl.build(Arch(name="alone", clip=clip, pathways=pathways, head=Classifier(classes=2))).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.main.one[0]


def test_a_res2_bottleneck_passes_on_what_its_parts_have_seen() -> None:
    torch.manual_seed(0)
    block = alone(Res2Bottleneck(channels=16, inner=12, parts=3, zero_init=False), 16)
    x = torch.randn(2, 16, 2, 8, 8)
    a, b, c = F.relu(block.norm_a(block.conv_a(x))).chunk(3, dim=1)
    first = F.relu(block.norm_b0(block.conv_b0(a)))
    second = F.relu(block.norm_b1(block.conv_b1(b + first)))
    y = block.norm_c(block.conv_c(torch.cat([first, second, c], dim=1)))
    assert torch.equal(block(x), F.relu(y + x))


def test_the_first_res2_bottleneck_keeps_parts_apart_and_pools_the_last() -> None:
    torch.manual_seed(0)
    block = alone(Res2Bottleneck(channels=16, inner=12, parts=3, apart=True, stride=2), 16)
    y = F.relu(block.norm_a(block.conv_a(x := torch.randn(2, 16, 2, 8, 8))))
    a, b, c = y.chunk(3, dim=1)
    parts = [F.relu(block.norm_b0(block.conv_b0(a))), F.relu(block.norm_b1(block.conv_b1(b)))]
    pooled = F.avg_pool2d(c.flatten(0, 2)[:, None], 3, 2, 1).view(2, 4, 2, 4, 4)
    y = block.norm_c(block.conv_c(torch.cat([*parts, pooled], dim=1)))
    torch.testing.assert_close(block(x), F.relu(y + block.shortcut_norm(block.shortcut(x))))


def test_a_feature_gate_weighs_channels_by_the_whole_clip() -> None:
    gate = alone(FeatureGate(), 6)
    x = torch.randn(2, 6, 2, 8, 8)
    weights = torch.sigmoid(x.mean(dim=(2, 3, 4)) @ gate.weigh.weight.flatten(1).T)
    torch.testing.assert_close(gate(x), x * weights[:, :, None, None, None])


def test_a_fractal_of_three_columns_by_hand() -> None:
    torch.manual_seed(0)
    f = alone(Fractal(channels=6, columns=3), 4)
    x = torch.randn(2, 4, 2, 8, 8)

    def layer(name: str, y: Tensor) -> Tensor:
        return F.relu(getattr(f, f"norm_{name}")(getattr(f, f"conv_{name}")(y)))

    half = (layer("c1_0", x) + layer("c2_1", layer("c2_0", x))) / 2
    ends = layer("c0_0", x), layer("c1_1", half), layer("c2_3", layer("c2_2", half))
    want = torch.stack([F.max_pool3d(end, (1, 2, 2)) for end in ends]).mean(0)
    torch.testing.assert_close(f(x), want)


def test_drop_path_leaves_out_maps_but_never_all() -> None:
    torch.manual_seed(0)
    join = runtime_join.MeanJoin(drop=0.9).train()
    maps = [torch.full((2, 1, 1, 1, 1), float(2**i)) for i in range(3)]
    met = {round(join(*maps).flatten()[0].item(), 3) for _ in range(300)}
    assert {1.0, 2.0, 4.0} < met <= {1.0, 2.0, 4.0, 1.5, 2.5, 3.0, 2.333}
    assert join.eval()(*maps).flatten()[0].item() == pytest.approx(7 / 3)


def test_a_drop_path_that_leaves_nothing_is_refused() -> None:
    shape = Shape(1, 1, 1, 1)
    with pytest.raises(archdsl.SpecError, match="`drop` out of range"):
        MeanJoin(drop=1.0).out(shape, shape)


def test_a_branch_without_blocks_is_the_map_itself() -> None:
    block = Branches(
        branches=dict(conv=Conv(channels=3, act="none", norm=Norm(kind="none")), same=()), merge="sum", act="relu"
    )
    network = alone(block, 3)
    x = torch.randn(1, 3, 2, 8, 8)
    assert torch.equal(network(x), F.relu(network.conv(x) + x))


def test_a_width_ratio_reaches_the_blocks_within_branches() -> None:
    block = Branches(branches=dict(one=Conv(channels=8), two=(MaxPool(kernel=(1, 3, 3)), Conv(channels=16))))
    stages = dict(one=Stage(block))
    arch = Arch(
        name="net",
        clip=Clip(frames=1, size=8),
        pathways=dict(main=Pathway(stages=stages, width_ratio="1/4")),
        head=Classifier(classes=2),
    )
    assert archdsl.compile(arch).shapes["main.one"].c == 2 + 4


def test_nasnet_reads_the_two_cells_before() -> None:
    plan = archdsl.compile(archdsl.load("nasnet_a_mobile"))
    nodes = plan.graph.nodes
    # where cell_1 begins, the map is cell_0's output and, brought to 44 channels, that of stem_1
    assert nodes["edges.cell_0.skip.merge"].reads == ("main.cell_0.0.join", "edges.cell_0.skip.norm")
    assert nodes["edges.cell_0.skip.relu"].reads == ("main.stem_1.0.join",)
    assert plan.shapes["edges.cell_0.skip.merge"] == (6 * 44 + 44, 1, 28, 28)
    # a halved map meets one of full size: two convolutions at stride 2, one a pixel on
    assert plan.shapes["edges.reduction_1.skip.join"] == (88, 1, 14, 14)
    large = archdsl.compile(archdsl.load("nasnet_a_large")).graph.nodes
    assert large["edges.reduction_1.skip.relu"].reads == ("main.cell_4.0.join",)
