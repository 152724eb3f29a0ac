"""Transformer blocks: counts of the originals, by hand, and what their options change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.blocks import (
    Attend,
    AttentivePool,
    ClassToken,
    FrameRows,
    LocalTransformer,
    Norm,
    Patches,
    Positions,
    SinePositions,
    Transformer,
    UnitTransformer,
    WindowTransformer,
)
from archdsl.errors import SpecError
from archdsl.graph import Builder, Graph
from archdsl.language import Arch, Classifier, Clip, Features, Pathway, Stage, TokenClassifier, repeat
from archdsl.ops import UNIT, Grid, Shape
from archdsl.testing import graph_of

COUNTS = {
    # params, macs, fvcore; facebookresearch/TimeSformer@a5ef29a
    "timesformer_divided_8x32": (121_566_352, 195_830_280_192, 196_053_480_192),
    "timesformer_joint_8x32": (86_112_400, 179_562_805_248, 179_713_429_248),
    "timesformer_space_8x32": (86_106_256, 140_504_788_992, 140_650_789_632),
    "timesformer_hr_16x16": (122_024_080, 1_702_685_650_944, 1_704_468_689_664),
    "timesformer_l_96x4": (121_633_936, 2_379_856_982_016, 2_382_534_832_896),
    # google-research/scenic@03c3032, projects/vivit
    "vivit_b16x2_joint": (88_954_000, 451_524_753_408, 451_825_905_408),
    "vivit_b16x2_fe": (115_062_928, 283_342_030_848, 283_645_210_368),
    "vivit_b16x2_fsa": (117_319_312, 371_093_975_040, 371_539_537_920),
    "vivit_b16x2_fdp": (88_952_464, 276_181_856_256, 276_482_912_256),
    "vivit_l16x2_joint": (307_508_624, 1_435_968_667_648, 1_436_755_678_208),
    "vivit_l16x2_fe": (354_903_440, 988_183_683_072, 988_975_240_192),
    # OpenGVLab/VideoMAEv2@29eab1e
    "videomae_vit_s": (22_033_936, 56_878_061_568, 56_950_316_928),
    "videomae_vit_b": (86_534_800, 180_344_893_440, 180_489_404_160),
    "videomae_vit_l": (304_270_736, 596_833_091_584, 597_218_448_384),
    "videomae_vit_h": (632_119_440, 1_190_994_104_320, 1_191_636_363_520),
    "videomae_v2_vit_g": (1_012_174_352, 2_542_791_071_744, 2_543_944_512_384),
    # facebookresearch/SlowFast@287ec00, configs/masked_ssl
    "mae_st_vit_b_16x4": (86_702_224, 180_487_649_280, 180_632_252_160),
    "mae_st_vit_l_16x4": (304_506_256, 597_289_271_296, 597_674_873_856),
    "mae_st_vit_h_16x4": (632_424_080, 1_191_880_232_960, 1_192_522_901_760),
    # Sense-X/UniFormer@52a0415
    "uniformer_s_8": (21_400_400, 17_566_320_640, 17_613_435_904),
    "uniformer_s": (21_400_400, 41_662_541_824, 41_756_772_352),
    "uniformer_s_32": (21_400_400, 109_445_300_224, 109_633_761_280),
    "uniformer_b_8": (49_813_200, 40_134_080_512, 40_228_160_512),
    "uniformer_b": (49_813_200, 96_553_881_600, 96_742_041_600),
    "uniformer_b_32": (49_813_200, 258_251_259_904, 258_627_579_904),
    # facebookresearch/hiera@b12b842; fvcore does not see its fused attention
    "hiera_b_16x224": (51_092_560, 101_725_925_376, 71_319_574_272),
    "hiera_bplus_16x224": (69_392_240, 132_302_428_160, 96_828_351_872),
    "hiera_l_16x224": (213_091_600, 412_130_469_888, 309_586_135_680),
    "hiera_h_16x224": (671_627_664, 1_157_796_364_288, 975_495_325_696),
    "hiera_t_224": (27_910_216, 4_900_830_720, 4_653_705_216),
    "hiera_b_224": (51_524_968, 9_375_200_256, 8_827_169_280),
    # torchvision's and transformers' vit_b_16
    "vit_b16": (86_567_656, 17_563_828_224, 17_582_740_224),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs, plan.count("fvcore")) == COUNTS[name]


def test_variants_of_the_factorised_encoder_count_as_the_originals() -> None:
    large = archdsl.compile(archdsl.load("vivit_l16x2_fe", size=320))
    assert (large.params, large.count("fvcore")) == (355_112_336, 2_076_561_347_584)
    deep = archdsl.compile(archdsl.load("vivit_l16x2_fe", temporal=24))
    assert (deep.params, deep.count("fvcore")) == (606_827_920, 993_268_749_312)


VJEPA2 = {
    # facebookresearch/vjepa2@c2963a4: params, macs and fvcore; of the encoders less what einsum makes angles with
    "encoder": {
        ("l", 256, 16): (303_885_312, 827_856_420_864 - 1_474_560, 622_211_792_896 - 1_474_560),
        ("l", 256, 64): (303_885_312, 5_785_326_845_952 - 5_898_240, 2_488_847_171_584 - 5_898_240),
        ("h", 256, 16): (631_648_000, 1_636_116_659_840 - 2_555_520, 1_293_371_244_160 - 2_555_520),
        ("g", 384, 64): (1_012_173_952, 56_910_620_489_376 - 22_116_000, 18_652_972_545_696 - 22_116_000),
    },
    "probe": {
        ("l", 4): (49_746_320, 107_388_223_488, 81_687_630_848),
        ("h", 4): (77_583_760, 159_739_596_800, 127_613_856_000),
        ("g", 4): (93_812_624, 189_740_931_072, 154_402_616_192),
        ("l", 1): (11_957_648, 4_309_008_384, 4_315_304_960),
        ("h", 1): (18_551_440, 6_731_386_880, 6_739_257_600),
        ("g", 1): (22_389_008, 8_144_345_088, 8_153_002_880),
    },
}


def test_encoders_and_probes_of_vjepa2_count_as_the_originals() -> None:
    for (width, size, frames), want in VJEPA2["encoder"].items():
        plan = archdsl.compile(archdsl.load("vjepa2_vitl", width=width, size=size, frames=frames))
        assert (plan.params, plan.macs, plan.count("fvcore")) == want
    for (width, depth), want in VJEPA2["probe"].items():
        plan = archdsl.compile(archdsl.load("vjepa2_vitl_k400", width=width, depth=depth))
        costs = [cost for at, cost in plan.costs.items() if at.startswith(("main.probe", "head"))]
        macs = sum(cost.macs for cost in costs)
        params, left_out = sum(cost.params for cost in costs), sum(cost.fvcore_extra for cost in costs)
        assert (params, macs, macs + left_out) == want


def test_a_head_without_classes_gives_the_map_without_tokens() -> None:
    stage = Stage(Patches(kernel=(1, 2, 2), channels=4), ClassToken(count=2))
    net = Arch(
        name="net", clip=Clip(frames=2, size=8), pathways=dict(main=Pathway(stages=dict(a=stage))), head=Features()
    )
    network = archdsl.build(net).eval()
    state, x = network.state_dict(), torch.randn(2, 3, 2, 8, 8)
    weight, bias = state["main.a.0.conv.weight"], state["main.a.0.conv.bias"]
    torch.testing.assert_close(network(x), torch.nn.functional.conv3d(x, weight, bias, (1, 2, 2)))
    assert archdsl.load("vjepa2_vitl").classes is None


def test_attention_with_rotary_positions_depends_on_distances_in_pairs_of_one_rate() -> None:
    """Of heads of 6 channels each axis turns one pair: products of turned vectors depend on their distance alone."""
    x = torch.randn(6)[:, None, None, None].expand(6, 3, 4, 4)[None]
    op = ops.Rotary(heads=1)
    y = build_graph(graph_of(op, (Shape(6, 3, 4, 4),)))(x)[0]
    for by in ((1, 0, 0), (0, 2, 0), (0, 0, 3), (2, 1, 1)):
        here, there = y[:, 0, 0, 0], y[:, by[0], by[1], by[2]]
        moved = y[:, 2 - by[0], 3 - by[1], 3 - by[2]] @ y[:, 2, 3, 3]
        torch.testing.assert_close(here @ there, moved)
        assert abs(here @ there - here @ here) > 1e-4


def test_a_learnt_query_pools_by_attention() -> None:
    """Without products of queries and keys it reads the mean of the values."""
    clip = Clip(frames=2, size=8)
    pooled = Stage(Patches(kernel=(1, 2, 2), channels=4), AttentivePool(heads=2, norm=Norm(kind="none")))
    arch = Arch(
        name="net",
        clip=clip,
        pathways=dict(main=Pathway(stages=dict(pooled=pooled))),
        head=Classifier(classes=3, pool="none"),
    )
    network = archdsl.build(arch).eval()
    state = network.state_dict()
    for name, value in state.items():
        if "attend.key" in name or "mlp.down" in name:
            value.zero_()
    network.load_state_dict(state)
    x = torch.randn(1, 3, 2, 8, 8)
    patches = torch.nn.functional.conv3d(
        x, state["main.pooled.0.conv.weight"], state["main.pooled.0.conv.bias"], (1, 2, 2)
    )
    at = "main.pooled.1"
    values = state[f"{at}.attend.value.weight"] @ patches.mean((0, 2, 3, 4)) + state[f"{at}.attend.value.bias"]
    want = state["head.classifier.weight"] @ (values + state[f"{at}.query.weight"][0]) + state["head.classifier.bias"]
    torch.testing.assert_close(network(x)[0], want)


TIMESFORMER = """
name: my_timesformer            # divided attention: time first, then space
clip: {frames: 8, size: 224}
pathways:
  main:
    drop_path: 0.1
    stages:
      tokens: [{patches: {kernel: [1, 16, 16], channels: 768}}, class_token, {positions: {over: [hw, t]}}]
      body: {transformer: {heads: 12, attend: [{over: t, linear: true}, hw]}, repeat: 12}
head: {class_token: {classes: 400}}
"""


def test_ten_lines_of_yaml_are_the_networks_of_the_zoo(tmp_path: Path) -> None:
    path = tmp_path / "my_timesformer.yaml"
    path.write_text(TIMESFORMER)
    ours, theirs = archdsl.load(path), archdsl.load("timesformer_divided_8x32")
    assert (ours.pathways, ours.head) == (theirs.pathways, theirs.head)


def built(block: Any, x: Shape) -> Graph:
    """One block over a value."""
    g = Builder()
    source = g.source("x", x, Grid(UNIT, UNIT, UNIT))
    with g.inside("main"):
        g.outputs["y"] = block.build(g, source)
    return g.finish()


def params(block: Any, x: Shape) -> int:
    graph = built(block, x)
    return sum(node.op.cost(*[graph.shapes[read] for read in node.reads]).params for node in graph.nodes.values())


def test_a_block_by_hand() -> None:
    """Of 8 channels: four layers of 72, norms of 16, the perceptron 8 x 32 + 32 + 32 x 8 + 8."""
    x, mlp = Shape(8, 2, 3, 3), 16 + 8 * 32 + 32 + 32 * 8 + 8
    assert params(Transformer(heads=2), x) == 16 + 4 * 72 + mlp
    assert params(Transformer(heads=2, attend=("t", "hw")), x) == 2 * (16 + 4 * 72) + mlp
    assert params(Transformer(heads=2, attend=[{"over": "t", "linear": True}, "hw"]), x) == 2 * (16 + 4 * 72) + 72 + mlp
    assert params(Transformer(heads=2, bias="qv"), x) == 16 + 4 * 72 - 8 + mlp
    assert params(Transformer(heads=2, bias=False), x) == 16 + 4 * 72 - 24 + mlp
    assert params(Transformer(heads=2, layer_scale=1e-5), x) == 16 + 4 * 72 + mlp + 16
    assert params(Transformer(heads=2, gated=True, act="silu"), x) == 16 + 4 * 72 + mlp + 8 * 32 + 32
    assert params(Transformer(heads=2, norm="rms"), x) == 4 * 72 + mlp
    assert params(Transformer(heads=2, norm_at="post"), x) == 16 + 4 * 72 + mlp
    assert params(Transformer(heads=2, attend=Attend(over=("t", "hw"))), x) == 16 + 4 * 72 + mlp


def test_heads_are_shared_out_among_axes() -> None:
    graph = built(Transformer(heads=4, attend=[{"over": ["t", "hw"]}]), Shape(8, 2, 3, 3))
    found = [node.op for node in graph.nodes.values() if isinstance(node.op, ops.Attention)]
    assert [(op.over, op.heads) for op in found] == [("t", 2), ("hw", 2)]
    with pytest.raises(SpecError, match="heads that do not divide among the axes"):
        built(Transformer(heads=3, attend=[{"over": ["t", "hw"]}]), Shape(6, 2, 3, 3))


def net(*blocks: Any, frames: int = 4, head: Any = None, **pathway: Any) -> Arch:
    """A small network of these blocks over 4 x 4 patches of 12 channels."""
    stages = {"tokens": Stage(Patches(kernel=(1, 4, 4), channels=12), *blocks)}
    head = head or Classifier(classes=3)
    return Arch(
        name="net",
        clip=Clip(frames=frames, size=16),
        pathways=dict(main=Pathway(stages=stages, **pathway)),
        head=head,
    )


def test_drop_path_grows_with_depth_and_leaves_given_rates() -> None:
    block = Transformer(heads=2)
    plan = archdsl.compile(net(*repeat(block, 3), block.but(drop_path=0.5), block, drop_path=0.4))
    rates = {node.address.split(".")[2]: node.op.p for node in plan.nodes if isinstance(node.op, ops.DropPath)}
    assert rates == pytest.approx({"1": 0.0, "2": 0.1, "3": 0.2, "4": 0.5, "5": 0.4})
    archdsl.testing.check(plan.arch)


OPTIONS = (
    dict(),
    dict(attend=("t", "hw")),
    dict(attend=[{"over": "t", "linear": True}, "hw"]),
    dict(attend=[{"over": ["t", "hw"]}], bias="qv"),
    dict(norm_at="post", gated=True, act="silu", dropout=0.1),
    dict(norm="rms", layer_scale=0.1, drop_path=0.1, act="quick_gelu", mlp="8/3"),
    dict(fused=True, bias=False, act="gelu_tanh"),
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize("tokens", [(), (ClassToken(count=2),), (ClassToken(), FrameRows())], ids=len)
def test_options_meet_tokens(options: dict[str, Any], tokens: tuple[Any, ...]) -> None:
    """Torch agrees on shapes, parameters and fvcore's count, and YAML means the same."""
    head = TokenClassifier(classes=3) if len(tokens) == 1 else Classifier(classes=3, pool="none")
    archdsl.testing.check(net(*tokens, *repeat(Transformer(heads=2, **options), 2), head=head))


def test_a_class_token_sees_all_and_frames_alone_do_not() -> None:
    """Gradients tell: of joint attention the token sees every frame, of attention over hw each frame itself."""
    joint = net(ClassToken(), Transformer(heads=2), head=TokenClassifier(classes=3))
    network, clip = archdsl.build(joint), torch.randn(1, 3, 4, 16, 16, requires_grad=True)
    network(clip).sum().backward()
    assert clip.grad is not None
    assert bool((clip.grad.abs().amax((0, 1, 3, 4)) > 0).all())
    plan = archdsl.compile(net(ClassToken(), FrameRows(), *repeat(Transformer(heads=2, attend="hw"), 2)))
    assert plan.grids["main.tokens.4.mlp_sum"].t.span == 1


def test_a_block_is_told_in_three_lines() -> None:
    """Drawings and tables speak of attentions and perceptrons, not of each linear layer."""
    arch = net(Transformer(heads=2, attend=("t", "hw"), gated=True))
    lines = ["attention over t, 2 heads", "attention over hw, 2 heads", "gated mlp 48"]
    drawing, table = (str(made(archdsl.compile(arch))) for made in (archdsl.draw, archdsl.table))
    for line in lines:
        assert line in drawing
        assert line in table


def test_a_stage_may_be_called_frames() -> None:
    stages = {name: Stage(Transformer(heads=2)) for name in ("body", "frames")}
    arch = net().but(
        pathways=dict(main=Pathway(stages={"tokens": Stage(Patches(kernel=(1, 4, 4), channels=12)), **stages}))
    )
    assert "frames.0" in archdsl.draw(archdsl.compile(arch), level="block")


def test_a_causal_transformer_gives_frame_by_frame_what_the_clip_gives() -> None:
    """Attention over time holds keys and values; norms, perceptrons and attention within frames need nothing."""
    arch = net(*repeat(Transformer(heads=2, attend=("t", "hw")), 2), head=Classifier(classes=3, norm="layer"))
    network: Any = archdsl.build(arch.but(causal=True)).double().eval()
    clip, state = torch.randn(2, 3, 4, 16, 16, dtype=torch.double), None
    with torch.no_grad():
        for t in range(4):
            scores, state = network.step(clip[:, :, t : t + 1], state)
            torch.testing.assert_close(scores, network(clip[:, :, : t + 1]))


def test_what_stands_beside_the_map_does_not_stream() -> None:
    arch = net(ClassToken(), Transformer(heads=2), head=TokenClassifier(classes=3)).but(causal=True)
    with pytest.raises(SpecError, match="tokens that all frames share"):
        archdsl.compile(arch)
    tables = archdsl.compile(net(Positions(over="t"), Transformer(heads=2, attend="t")).but(causal=True))
    assert tables.one_frame is None
    assert "positions does not take each frame by itself" in str(tables.whole_clips)


def test_attention_over_the_same_axes_twice_has_two_names() -> None:
    """A short look back, then all frames: their weights need addresses of their own."""
    graph = built(Transformer(heads=2, attend=({"over": "t", "frames": 2}, "t", "hw", "t")), Shape(8, 2, 3, 3))
    found = [address for address, node in graph.nodes.items() if isinstance(node.op, ops.Attention)]
    assert [address.split(".")[1] for address in found] == ["attend_t_2", "attend_hw", "attend_t_3"]


@pytest.mark.parametrize(
    ("channels", "heads", "said"), [(25, 4, "a multiple of 4"), (24, 10, "heads: 8"), (30, 3, "heads: 2")]
)
def test_parts_of_heads_say_how_many_fit(channels: int, heads: int, said: str) -> None:
    """No channel is left out: 25 channels are not read as 24."""
    with pytest.raises(SpecError, match=f"{said}$"):
        built(Transformer(heads=heads, attend=[{"over": ["t", "hw"]}]), Shape(channels, 2, 3, 3))


@pytest.mark.parametrize(
    "blocks",
    [
        (Positions(over="hw"), SinePositions(over=("h", "w")), Transformer(heads=2, attend="t")),
        (WindowTransformer(heads=2, window=(1, 2, 2)), WindowTransformer(heads=2, window=(1, 2, 2), shift=True)),
        (UnitTransformer(heads=2, unit=(1, 2, 2)),),
    ],
)
def test_what_stays_within_a_frame_streams_in_pieces_of_any_length(blocks: tuple[Any, ...]) -> None:
    arch = net(*blocks, head=Classifier(classes=3, norm="layer")).but(causal=True)
    network: Any = archdsl.build(arch).double().eval()
    clip, state = torch.randn(2, 3, 4, 16, 16, dtype=torch.double), None
    with torch.no_grad():
        for piece in clip.split([1, 3], dim=2):
            scores, state = network.step(piece, state)
        torch.testing.assert_close(scores, network(clip))


@pytest.mark.parametrize("act", ["gelu", "gelu_tanh", "quick_gelu"])
def test_convolutions_are_fused_with_functions_that_have_fields(act: Any) -> None:
    literal = archdsl.build(net(LocalTransformer(kernel=(1, 3, 3), act=act))).eval()
    lowered = archdsl.build(net(LocalTransformer(kernel=(1, 3, 3), act=act)), lower="auto").eval()
    lowered.load_state_dict(literal.state_dict())
    clip = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(lowered(clip), literal(clip))
