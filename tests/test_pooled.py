"""MViT: every integer of the originals, pools that tokens go round, where channels change."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import archdsl
from archdsl import ops
from archdsl.backend.passes import PASSES
from archdsl.blocks import ClassToken, Patches, PooledTransformer, WindowTransformer
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, TokenClassifier, repeat

ORIGINALS = {
    # (parameters, fvcore): torchvision 0.28.0 mvit_v1_b and mvit_v2_s; PyTorchVideo's mvit_base_32x3 and mvit_base_16;
    # the rest PySlowFast's configs MVIT_B_32x3_CONV, SSv2/MVITv2_S_16x4, MVITv2_B_32x3, MVITv2_L_40x3_test and
    # masked_ssl/k400_MVITv2_L_16x4_FT
    "mvit_v1_b_16x4": (36_610_672, 70_803_884_928),
    "mvit_v1_b_32x3": (36_611_440, 170_366_942_592),
    "mvit_v1_b_image": (36_982_696, 7_844_466_816),
    "mvit_v1_b24_32x3": (53_115_280, 236_310_361_920),
    "mvit_v2_s_16x4": (34_537_744, 64_456_924_584),
    "mvit_v2_s_16x4_ssv2": (34_363_950, 64_456_751_016),
    "mvit_v2_b_32x3": (51_230_128, 225_170_045_952),
    "mvit_v2_l_40x3": (213_390_112, 2_828_100_991_312),
    "mvit_v2_l_16x4_maskfeat": (217_578_064, 377_787_008_208),
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_counts_are_those_of_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.count("fvcore")) == ORIGINALS[name]


def test_products_without_relative_positions_are_those_of_the_originals() -> None:
    """fvcore rounds those with rows of relative positions to four digits: macs have them as they are."""
    assert archdsl.compile(archdsl.load("mvit_v1_b_16x4")).macs == 70_599_407_808
    plan = archdsl.compile(archdsl.load("mvit_v2_s_16x4"))
    assert plan.macs == 64_223_826_024 - 10_152


def net(*blocks: Any, tokens: int, size: int = 32) -> Arch:
    """4 frames of `size` x `size` pixels in patches of 4 x 4, with tokens beside them or none."""
    first = Patches(kernel=(2, 4, 4), channels=8)
    stages = {"tokens": Stage(first, *([ClassToken(count=tokens)] if tokens else ())), "body": Stage(*blocks)}
    head = TokenClassifier(classes=3) if tokens else Classifier(classes=3)
    return Arch(name="net", clip=Clip(frames=4, size=size), pathways=dict(main=Pathway(stages=stages)), head=head)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"stride": (1, 2, 2), "stride_kv": (1, 4, 4), "relative": True, "residual": True, "pool_queries": True},
    {"stride": (2, 2, 2), "kernel": None, "channels": 16, "stride_kv": (1, 2, 2)},
    {"channels": 16, "widen": "mlp", "kernel": (1, 3, 3), "relative": True, "sizes": (2, 9, 9), "fused": True},
    {"channels": 4, "gated": True, "act": "silu", "bias": "qv", "layer_scale": 0.1, "drop_path": 0.1},
]


QUICK = [
    pytest.param(one, id=" ".join(one) or "plain", marks=[pytest.mark.slow] * (i in (0, 2)))
    for i, one in enumerate(OPTIONS)
]


@pytest.mark.parametrize("tokens", [pytest.param(0, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("options", QUICK)
def test_options_meet_tokens(options: dict[str, Any], tokens: int) -> None:
    """Torch agrees on shapes, parameters and fvcore's count, and YAML means the same."""
    archdsl.testing.check(net(*repeat(PooledTransformer(heads=2, **options), 2), tokens=tokens))


def test_a_block_is_as_small_as_its_queries() -> None:
    """Maps of 2 x 7 x 7 and a token: queries 2 x 4 x 4, keys 2 x 2 x 2; the second of a repeat has no stride."""
    block = PooledTransformer(heads=2, stride=(1, 2, 2), stride_kv=(1, 4, 4), channels=16)
    plan = archdsl.compile(net(*repeat(block, 2), tokens=1, size=28))
    shapes = plan.graph.shapes
    assert shapes["main.body.0.attend_norm"] == (8, 2, 7, 7, 1)
    assert shapes["main.body.0.attend.query_norm"] == (16, 2, 4, 4, 1) == shapes["main.body.1.mlp_sum"]
    assert shapes["main.body.0.attend.key_norm"] == (16, 2, 2, 2, 1)
    assert "main.body.1.attend.query_pool" not in shapes
    attention = plan.graph.nodes["main.body.0.attend.attention"]
    assert plan.costs[attention.address].macs == 2 * 33 * 9 * 16


TRACED = {
    "windows": (WindowTransformer(heads=2, window=(2, 3, 3)), WindowTransformer(heads=2, window=(2, 3, 3), shift=True)),
    "pooled": (PooledTransformer(heads=2, stride=(1, 2, 2), stride_kv=(1, 4, 4), relative=True, residual=True),),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", TRACED)
@torch.no_grad()
def test_tracers_and_lowerings_give_the_same(name: str) -> None:
    """By torch.fx, torch.jit and torch.export with any batch; every pass alone and all together; frozen."""
    plan = archdsl.compile(net(*TRACED[name], tokens=int(name == "pooled"), size=28))
    torch.manual_seed(0)
    literal, clip = archdsl.build(plan, "none").eval(), torch.randn(2, 3, 4, 28, 28)
    want = literal(clip)
    torch.testing.assert_close(torch.fx.symbolic_trace(literal)(clip), want)
    torch.testing.assert_close(torch.jit.trace(literal, clip)(clip), want)
    exported = torch.export.export(literal, (clip,), dynamic_shapes=({0: torch.export.Dim("n", max=8)},)).module()
    torch.testing.assert_close(exported(torch.cat([clip, clip]))[2:], want)
    names = [one.name for one in PASSES]
    for lower in (*([one] for one in names), names):
        network = archdsl.build(plan, lower).eval()
        network.load_state_dict(literal.state_dict())
        torch.testing.assert_close(network(clip), want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(archdsl.freeze(network)(clip), want, rtol=1e-4, atol=1e-5)


def test_norms_behind_sums_are_refused() -> None:
    with pytest.raises(SpecError, match="norms behind sums of pooled attention"):
        PooledTransformer(heads=2, norm_at="post")


def test_shortcuts_read_the_norm_where_channels_change() -> None:
    graph = archdsl.compile(archdsl.load("mvit_v1_b_16x4")).graph
    assert graph.nodes["main.stage1.0.mlp_project"].reads == ("main.stage1.0.mlp_norm",)
    graph = archdsl.compile(archdsl.load("mvit_v2_s_16x4")).graph
    assert graph.nodes["main.stage2.0.attend_project"].reads == ("main.stage2.0.attend_norm",)
    assert isinstance(graph.nodes["main.stage2.0.attend.attention"].op, ops.RelativeAttention)
