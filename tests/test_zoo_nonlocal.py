"""C2D, I3D on ResNets, non-local networks, and detection on given boxes: integers of PySlowFast, functions by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.backend import build_graph
from archdsl.blocks import Bottleneck, Conv, NonLocal
from archdsl.graph import Builder
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, change, repeat
from archdsl.ops import UNIT, Grid, Shape
from archdsl.rewrites import for_detection, insert_nonlocal, with_temporal_kernels

ORACLE = {
    # PySlowFast at 287ec007: parameters, multiply-adds, fvcore 0.1.5
    ("c2d_8x8_r50", 224): (24_327_632, 19_493_191_680, 19_623_849_984),  # sf_C2D_8x8_R50
    ("c2d_8x8_r50", 256): (24_327_632, 25_462_702_080, 25_633_357_824),
    ("c2d_8x8_r50_nl", 224): (31_686_096, 27_620_900_864, 27_762_798_592),  # sf_C2D_NLN_8x8_R50
    ("c2d_8x8_r50_nl", 256): (31_686_096, 37_273_862_144, 37_459_197_952),
    ("i3d_8x8_r50", 224): (28_043_472, 28_407_660_544, 28_538_318_848),  # sf_I3D_8x8_R50
    ("i3d_8x8_r50", 256): (28_043_472, 37_106_089_984, 37_276_745_728),
    ("i3d_8x8_r101", 224): (51_754_192, 46_955_921_408, 47_127_523_328),  # sf_I3D_8x8_R101
    ("i3d_8x8_r101", 256): (51_754_192, 61_332_389_888, 61_556_523_008),
    ("i3d_8x8_r50_nl", 224): (35_401_936, 36_535_369_728, 36_677_267_456),  # sf_I3D_NLN_8x8_R50
    ("i3d_8x8_r50_nl", 256): (35_401_936, 48_917_250_048, 49_102_585_856),
    ("slow_8x8_r50_nl", 224): (39_812_560, 63_975_620_608, 64_175_923_200),  # sf_SLOW_NLN_8x8_R50
    ("slow_8x8_r50_nl", 256): (39_812_560, 88_343_707_648, 88_605_327_360),
    ("slowfast_8x8_r50_nl", 224): (41_838_680, 72_228_671_488, 72_524_308_480),  # sf_SLOWFAST_NLN_8x8_R50
    ("slowfast_8x8_r50_nl", 256): (41_838_680, 99_123_478_528, 99_509_616_640),
    # sf_SLOWFAST_NLN_16x8_R101_50_50
    ("slowfast_16x8_r101_nl_pool_122", 224): (60_080_088, 182_978_744_320, 183_789_989_888),
    ("slowfast_16x8_r101_nl_pool_122", 256): (60_080_088, 242_015_027_200, 243_074_613_248),
}

DETECTION = {
    # the same at 224 with three boxes: sf_AVA_SLOW_8x8_R50_SHORT, sf_AVA_SLOWFAST_32x2_R50_SHORT, ..._64x2_R101
    "slow_4x16_r50_ava": (31_798_416, 31_814_483_968, 31_916_040_192),
    "slowfast_8x8_r50_ava": (33_828_888, 74_180_751_360, 74_491_842_560),
    "slowfast_16x8_r101_nl_ava": (59_342_488, 225_713_876_992, 226_600_988_672),
}


@pytest.mark.parametrize(("name", "size"), ORACLE)
def test_integers_equal_pyslowfast(name: str, size: int) -> None:
    plan = archdsl.compile(archdsl.load(name, size=size))
    assert (plan.params, plan.macs, plan.count("fvcore")) == ORACLE[name, size]


@pytest.mark.parametrize("name", DETECTION)
def test_detection_equals_pyslowfast(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name, boxes=3))
    assert (plan.params, plan.macs, plan.count("fvcore")) == DETECTION[name]
    assert plan.inputs["boxes"] == (4, 3, 1, 1)
    assert plan.outputs == {"scores": (80, 3)}


def test_slow_is_c2d_with_temporal_kernels() -> None:
    flat = archdsl.load("c2d_8x8_r50_nopool")
    assert with_temporal_kernels(flat, dict(res4=3, res5=(3,)), name="slow_8x8_r50") == archdsl.load("slow_8x8_r50")


def test_i3d_lists_its_kernels() -> None:
    blocks = archdsl.load("i3d_8x8_r50").pathways["slow"].stages
    assert blocks["stem"].blocks[0].kernel == (5, 7, 7)
    kernels = {name: [b.kernel_t for b in blocks[name].blocks] for name in ("res2", "res3", "res4", "res5")}
    assert kernels == dict(res2=[3, 3, 3], res3=[3, 1, 3, 1], res4=[3, 1, 3, 1, 3, 1], res5=[1, 3, 1])


def test_for_detection_is_a_dilated_last_stage_and_another_head() -> None:
    arch = archdsl.load("slow_4x16_r50")
    rewritten = for_detection(arch)
    last = Stage(*repeat(Bottleneck(channels=2048, kernel_t=3, dilation=2), 3))
    assert rewritten.pathways["slow"].stages == {**arch.pathways["slow"].stages, "res5": last}
    assert archdsl.compile(rewritten).shapes["slow.res5"] == Shape(2048, 4, 14, 14)
    assert rewritten.head.dropout == arch.head.dropout


def test_insert_nonlocal_puts_a_block_after_those_numbered() -> None:
    arch = insert_nonlocal(archdsl.load("c2d_8x8_r50"), dict(res3=[3, 1]))
    kinds = [type(block).__name__ for block in arch.pathways["slow"].stages["res3"].blocks]
    assert kinds == ["Bottleneck", "Bottleneck", "NonLocal", "Bottleneck", "Bottleneck", "NonLocal"]


def test_rewrites_tell_of_names_that_are_not_there() -> None:
    arch = archdsl.load("slowfast_4x16_r50")
    with pytest.raises(archdsl.SpecError, match="no such pathway"):
        insert_nonlocal(arch, dict(res3=[1]))
    with pytest.raises(archdsl.SpecError, match="no such block in stage res3"):
        insert_nonlocal(arch, dict(res3=[4]), pathway="slow")
    with pytest.raises(archdsl.SpecError, match="no stage 'res6'"):
        with_temporal_kernels(arch, dict(res6=3), pathway="slow")
    with pytest.raises(archdsl.SpecError, match="not a classifier of one clip"):
        for_detection(for_detection(arch))
    with pytest.raises(archdsl.SpecError, match="`scale` without a softmax"):
        NonLocal(pairwise="dot_product", scale=True)
    boxless = for_detection(arch).but(clips=arch.clips)
    with pytest.raises(archdsl.SpecError, match="no clip 'boxes'"):
        archdsl.compile(boxless)


def block_of(block: NonLocal, shape: Shape) -> torch.nn.Module:
    """A non-local block alone, with random weights."""
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    with g.inside("block", "NonLocal"):
        g.outputs["y"] = block.build(g, x)
    network = build_graph(g.finish()).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def by_pairs(block: NonLocal, parts: dict[str, Tensor], x: Tensor) -> Tensor:
    """The paper's equations, pair by pair: x is (c, t, h, w)."""

    def project(name: str, value: Tensor) -> Tensor:
        bias = parts.get(f"{name}.bias")
        y = torch.einsum("oc,c...->o...", parts[f"{name}.weight"].flatten(1), value)
        return y if bias is None else y + bias[:, None, None, None]

    def pool(value: Tensor) -> Tensor:
        return torch.nn.functional.max_pool3d(value[None], block.pool)[0]

    early = block.pool_at == "before"
    keys = pool(x) if early else x
    values = project("g", keys)
    theta, phi = (x, keys) if block.pairwise == "gaussian" else (project("theta", x), project("phi", keys))
    values, phi = (values, phi) if early else (pool(values), pool(phi))
    theta, phi, values = theta.flatten(1).T, phi.flatten(1).T, values.flatten(1).T
    rows = []
    for query in theta:
        if block.pairwise == "concatenation":
            w = torch.cat([parts["w_theta.weight"].flatten(), parts["w_phi.weight"].flatten()])
            f = [torch.relu(w @ torch.cat([query, key])) for key in phi]
        else:
            f = [query @ key / (math.sqrt(len(query)) if block.scale else 1.0) for key in phi]
        if block.pairwise.endswith("gaussian"):
            top = max(f)
            f = [torch.exp(a - top) for a in f]
        total = sum(f) if block.pairwise.endswith("gaussian") else len(f)
        rows.append(sum(a * value for a, value in zip(f, values)) / total)
    y = project("out", torch.stack(rows, dim=1).unflatten(1, x.shape[1:]))
    scale = parts["norm.weight"] / torch.sqrt(torch.tensor(1 + 1e-5, dtype=x.dtype))
    return x + y * scale[:, None, None, None] + parts["norm.bias"][:, None, None, None]


@pytest.mark.parametrize("pool_at", ["before", "after"])
@pytest.mark.parametrize("pairwise", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
def test_the_four_pairwise_functions_by_hand(pairwise: str, pool_at: str) -> None:
    torch.manual_seed(0)
    scale = pairwise == "embedded_gaussian"
    block = NonLocal(pairwise=pairwise, pool=(1, 2, 2), pool_at=pool_at, scale=scale, out_bias=pool_at == "before")
    network = block_of(block, Shape(6, 2, 4, 4))
    x = torch.randn(1, 6, 2, 4, 4, dtype=torch.float64)
    parts = {name.removeprefix("block."): value for name, value in network.state_dict().items()}
    with torch.no_grad():
        torch.testing.assert_close(network(x)[0], by_pairs(block, parts, x[0]), atol=1e-10, rtol=1e-10)


def test_a_fresh_block_is_the_identity() -> None:
    g = Builder()
    g.outputs["y"] = NonLocal().build(g, g.source("x", Shape(8, 2, 4, 4), Grid(UNIT, UNIT, UNIT)))
    x = torch.randn(2, 8, 2, 4, 4)
    torch.testing.assert_close(build_graph(g.finish())(x), x, atol=0, rtol=0)


def test_costs_by_hand() -> None:
    g = Builder()
    g.outputs["y"] = NonLocal(pool=(2, 2, 2)).build(g, g.source("x", Shape(8, 4, 6, 6), Grid(UNIT, UNIT, UNIT)))
    graph = g.finish()
    costs = {a: n.op.cost(*[graph.shapes[x] for x in n.reads]) for a, n in graph.nodes.items()}
    positions, keys, inner = 4 * 6 * 6, 2 * 3 * 3, 4
    assert sum(c.matmul_macs for c in costs.values()) == 2 * positions * keys * inner
    assert sum(c.conv_macs for c in costs.values()) == 2 * 8 * inner * (positions + keys)
    assert sum(c.params for c in costs.values()) == 4 * 8 * inner + 3 * inner + 8 + 2 * 8
    assert graph.shapes["affinity"] == Shape(keys, 4, 6, 6)


def test_a_nonlocal_block_sees_the_whole_clip() -> None:
    plan = archdsl.compile(archdsl.load("c2d_8x8_r50_nl"))
    before, after = plan.grids["slow.res3.1.act"], plan.grids["slow.res3.2.sum"]
    assert (before.t.span, after.t.span) == (9, 57)  # one pair of every 8th frame; all eight
    assert after.h.span >= 224


def test_yaml_says_it_too() -> None:
    arch = change(archdsl.load("slowfast_8x8_r50_nl"), "pathways.slow.stages.res4.pairwise", "gaussian")
    kept = [b.pairwise for b in arch.pathways["slow"].stages["res4"].blocks if isinstance(b, NonLocal)]
    assert kept == ["gaussian"] * 3


def test_scores_of_a_box_do_not_depend_on_the_other_boxes() -> None:
    torch.manual_seed(0)
    stages = {
        "stem": Stage(Conv(channels=8, kernel=(1, 3, 3), stride=(1, 2, 2))),
        "res2": Stage(Bottleneck(channels=8, stride=2)),
    }
    arch = Arch(
        name="small",
        clip=Clip(frames=2, size=32),
        pathways=dict(rgb=Pathway(stages=stages)),
        head=Classifier(classes=5),
    )
    one, three = (archdsl.build(for_detection(arch, classes=5, boxes=n)).eval() for n in (1, 3))
    one.load_state_dict(three.state_dict())
    clip = torch.randn(2, 3, 2, 32, 32)
    corner, size = torch.rand(2, 2, 3, 1, 1) * 16, torch.rand(2, 2, 3, 1, 1) * 16
    boxes = torch.cat([corner, corner + size], dim=1)
    scores = three({"clip": clip, "boxes": boxes})
    assert scores.shape == (2, 5, 3)
    for i in range(3):
        torch.testing.assert_close(one({"clip": clip, "boxes": boxes[:, :, i : i + 1]})[:, :, 0], scores[:, :, i])
