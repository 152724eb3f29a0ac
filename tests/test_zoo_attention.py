"""Transformers beyond plain ones: views, taps, tubes, scans, memories. The integers of the original implementations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.compiler.causal import stream_state_size
from archdsl.ops import Shape
from archdsl.testing import graph_of

COUNTS: dict[tuple[str, tuple[tuple[str, Any], ...]], tuple[int, int]] = {
    # google-research/scenic@4a38d47, projects/mtv
    ("mtv_b", ()): (304_270_864, 374_597_276_160),
    ("mtv_b_no_fusion", ()): (302_049_040, 367_222_503_936),
    ("mtv_b", (("size", 320),)): (304_545_040, 873_852_031_488),
    ("mtv_b", (("classes", 174),)): (303_966_894, 374_596_972_416),
    ("mtv_l", ()): (876_382_552, 1_418_746_395_648),
    # daniel-code/TubeViT@8df0d99
    ("tubevit_b", ()): (86_547_857, 51_687_763_968),
    ("tubevit_l", ()): (304_300_433, 178_004_967_424),
    ("tubevit_h", ()): (632_166_801, 364_373_626_880),
    # OpenGVLab/UniFormerV2@722a434
    ("uniformer_v2_b16", ()): (114_552_208, 148_104_622_080),
    ("uniformer_v2_b16_local", ()): (133_543_312, 177_757_433_856),
    ("uniformer_v2_b16_ssv2", ()): (162_992_814, 187_206_781_440),
    ("uniformer_v2_l14", ()): (354_099_600, 665_628_524_544),
    ("uniformer_v2_l14_16", ()): (354_099_600, 1_331_214_696_448),
    ("uniformer_v2_l14_32", ()): (354_099_600, 2_662_387_040_256),
    ("uniformer_v2_l14_336", ()): (354_427_280, 1_566_984_454_144),
    ("uniformer_v2_l14_336_32", ()): (354_427_280, 6_267_810_758_656),
    ("uniformer_v2_l14_336_64", ()): (354_427_280, 12_535_579_164_672),
    ("uniformer_v2_l14_336_frozen", ()): (354_426_256, 1_566_984_454_144),
    # OpenGVLab/InternVideo@3965eef, single_modality
    ("internvideo2_s", ()): (23_352_976, 83_269_261_056),
    ("internvideo2_s_16", ()): (24_139_408, 243_825_645_312),
    ("internvideo2_b", ()): (89_748_112, 254_762_614_272),
    ("internvideo2_b_16", ()): (91_320_976, 664_056_430_080),
    ("internvideo2_l", ()): (309_238_416, 830_673_614_848),
    ("internvideo2_l_16", ()): (311_335_568, 2_073_357_809_664),
    ("internvideo2_1b", ()): (1_021_017_744, 2_550_698_980_096),
    ("internvideo2_1b_16", ()): (1_023_901_328, 6_045_274_059_520),
    ("internvideo2_6b", ()): (5_942_044_304, 13_421_085_702_400),
    ("internvideo2_6b_16", ()): (5_948_597_904, 29_413_219_744_000),
    # OpenGVLab/VideoMamba@f3427e4, video_sm
    ("videomamba_ti", ()): (7_033_744, 10_295_602_176),
    ("videomamba_ti", (("frames", 16),)): (7_035_280, 20_584_492_032),
    ("videomamba_ti", (("frames", 32),)): (7_038_352, 41_162_271_744),
    ("videomamba_ti", (("frames", 64),)): (7_044_496, 82_317_831_168),
    ("videomamba_ti", (("frames", 64), ("size", 384))): (7_117_456, 241_900_612_608),
    ("videomamba_s", ()): (25_568_656, 38_637_164_544),
    ("videomamba_s", (("frames", 16),)): (25_571_728, 77_249_402_880),
    ("videomamba_s", (("frames", 32),)): (25_577_872, 154_473_879_552),
    ("videomamba_s", (("frames", 64), ("size", 384))): (25_736_080, 907_806_529_536),
    ("videomamba_m", (("frames", 16),)): (73_880_464, 226_197_144_576),
    ("videomamba_m", (("frames", 64), ("size", 384))): (74_126_992, 2_658_187_772_928),
    ("videomamba_ti_image", ()): (7_148_200, 1_292_938_752),
    ("videomamba_s_image", ()): (25_796_968, 4_851_686_400),
    ("videomamba_m_image", ()): (74_218_024, 14_205_897_216),
    # transformers 5.24.0
    ("videoprism_b", ()): (114_365_184, 486_644_121_600),
    ("videoprism_l", ()): (353_965_056, 749_496_958_976),
    ("videoprism_g", ()): (1_112_755_072, 2_335_691_505_664),
}
"""Model and what is changed of it: parameters, multiply-adds."""


@pytest.mark.parametrize(("name", "given"), COUNTS)
def test_counts_are_the_originals(name: str, given: tuple[tuple[str, Any], ...]) -> None:
    plan = archdsl.compile(archdsl.load(name, **dict(given)))
    assert (plan.params, plan.macs) == COUNTS[name, given]


THREE = """
name: three
clip: {frames: 8, size: 16}
pathways:
  coarse: {stages: {cut: {patches: {kernel: [4, 8, 8], channels: 12}}, more: {transformer: {heads: 3}}}}
  middle: {stages: {cut: {conv: {channels: 8, kernel: [1, 8, 8], stride: [2, 8, 8], pad: valid}}}}
  fine: {stages: {cut: [{patches: {kernel: [1, 8, 8], channels: 4}}, class_token]}}
edges:
  - {source: middle, target: coarse, after: cut, transform: {cross_attention: {heads: 2}}, merge: sum}
  - {source: fine, target: middle, after: cut, transform: {cross_attention: {heads: 2}}, merge: sum}
head: {classifier: {reads: [coarse], classes: 10}}
"""


def test_cross_attention_on_edges(tmp_path: Path) -> None:
    """12 channels at 2 x 2 x 2 read 8 at 4 x 2 x 2, convolved ones, and these 4 and a token at 8 x 2 x 2.

    The middle map is normalised once: of the first edge there are norms of 12 and 8 channels, of the second of 4.
    """
    (tmp_path / "three.yaml").write_text(THREE)
    plan = archdsl.testing.check(archdsl.load(tmp_path / "three.yaml"))
    first, second = plan.shapes["edges.cut.middle_to_coarse"], plan.shapes["edges.cut.fine_to_middle"]
    assert (first, second) == ((12, 2, 2, 2), (8, 4, 2, 2))
    sizes = {node.address: plan.shapes[node.reads[0]].c for node in plan.nodes if node.address.endswith("norm")}
    edges = {address.removeprefix("edges.cut."): c for address, c in sizes.items() if address.startswith("edges")}
    assert edges == {"middle_to_coarse.query_norm": 12, "middle_to_coarse.norm": 8, "fine_to_middle.norm": 4}


def test_cross_attention_is_the_formula(tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(THREE)
    network = archdsl.build(archdsl.load(tmp_path / "three.yaml")).eval()
    lateral = network.get_submodule("edges.cut.middle_to_coarse")
    torch.nn.init.normal_(lateral.out.weight)
    seen: dict[str, Any] = {}
    for name in ("coarse.cut", "middle.cut"):
        network.get_submodule(name).register_forward_hook(lambda _m, _x, y, name=name: seen.update({name: y}))
    network.get_submodule("coarse.more").register_forward_pre_hook(lambda _m, x: seen.update(more=x[0]))
    network(torch.randn(1, 3, 8, 16, 16))
    coarse, middle = (seen[name].flatten(2)[0].T for name in ("coarse.cut", "middle.cut"))
    reads = [F.layer_norm(x, x.shape[1:], eps=1e-6) for x in (coarse, middle, middle)]
    q, k, v = (layer(x) for layer, x in zip((lateral.query, lateral.key, lateral.value), reads))
    two = (slice(0, 6), slice(6, 12))
    heads = [(q[:, at] @ k[:, at].T / 6**0.5).softmax(dim=1) @ v[:, at] for at in two]
    want = coarse + lateral.out(torch.cat(heads, dim=1))
    torch.testing.assert_close(seen["more"].flatten(2)[0].T, want)


def run(op: ops.Op, *xs: torch.Tensor, **weights: torch.Tensor) -> torch.Tensor:
    """One op of given weights on the maps of one clip."""
    network = build_graph(graph_of(op, tuple(Shape(*x.shape) for x in xs))).eval()
    network.load_state_dict({f"op.{name}": value for name, value in weights.items()})
    given = {f"x{i}": x[None] for i, x in enumerate(xs)}
    y: torch.Tensor = network(given if len(xs) > 1 else given["x0"])[0]
    return y


def test_learnt_shares_and_scores_by_hand() -> None:
    """sigmoid(0) = 1/2, sigmoid(log 3) = 3/4; positions 1 and 2 of scores 0 and log 3 weigh 1/4 and 3/4."""
    first, second = torch.tensor([1.0, 2]).view(2, 1, 1, 1), torch.tensor([3.0, 6]).view(2, 1, 1, 1)
    mixed = run(ops.LearntMix(), first, second, weight=torch.tensor([0, math.log(3)]))
    assert mixed.flatten().tolist() == pytest.approx([2, 5])
    x = torch.tensor([1.0, 2]).view(1, 1, 1, 2)
    pooled = run(ops.SoftmaxPool(), x, weight=torch.tensor([[math.log(3)]]), bias=torch.tensor([-math.log(3)]))
    assert pooled.item() == pytest.approx(1.75)


def test_rows_of_frames_by_hand() -> None:
    """Frames 1 2 | 3 4 | 5 6 | 7 8, as rows; two of them are one frame, or each has a token of its own."""
    rows = torch.arange(1.0, 9).view(1, 4, 2, 1)
    both = run(ops.FramesToRows(factor=2), rows)
    assert both[0, :, :, 0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert run(ops.RowsToFrames(factor=2), both).equal(rows)
    own = run(ops.LearntFrameTokens(), rows, weight=torch.tensor([-1.0, -2, -3, -4]).view(4, 1, 1))
    assert own[0, :, :, 0].tolist() == [[-1, 1, 2], [-2, 3, 4], [-3, 5, 6], [-4, 7, 8]]
    assert run(ops.RowsToMap(height=1), run(ops.TakeRows(start=1), own))[0, 0].tolist() == [[1, 2]]
    again = run(ops.RepeatFrames(times=2, whole=True), rows[:, :2])
    assert again[0, :, :, 0].tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]


ROUND = """
name: around
clip: {frames: 4, size: 16}
pathways:
  main:
    drop_path: 0.2
    stages:
      tokens: [{patches: {kernel: [1, 8, 8], channels: 12}}, class_token, frame_rows]
      body: {transformer: {heads: 2, attend: hw, before: frame_time_conv, between: frame_time_conv}, repeat: 2}
      end: {frame_token: {}}
head: {classifier: {classes: 5}}
"""


def test_blocks_before_and_between_in_a_transformer(tmp_path: Path) -> None:
    """What is dropped grows with the block, within it too. The token of a frame has no way to another frame's rows."""
    (tmp_path / "around.yaml").write_text(ROUND)
    plan = archdsl.testing.check(archdsl.load(tmp_path / "around.yaml"))
    rates = {address: node.op.p for address, node in plan.graph.nodes.items() if isinstance(node.op, ops.DropPath)}
    assert {p for address, p in rates.items() if address.startswith("main.body.1")} == {0.2}
    assert len(rates) == 8
    conv = 2 * 12 + 12 * 8 + 8 + 8 * 3 + 8 + 8 * 12 + 12
    assert sum(plan.costs[a].params for a in plan.costs if "before" in a or "between" in a) == 4 * conv


@pytest.mark.parametrize("over", ["thw", "t"])
def test_capped_products_are_the_formula(over: Any) -> None:
    """Three frames of one position, one head of two channels; products of 8 become 2 tanh(4)."""
    q, k, v = (torch.randn(2, 3, 1, 1) * scale for scale in (3, 3, 1))
    got = run(ops.Attention(heads=1, scale=0.5, over=over, cap=2.0), q, k, v)
    products = 2 * (q[:, :, 0, 0].T @ k[:, :, 0, 0] / 4).tanh()
    torch.testing.assert_close(got[:, :, 0, 0].T, products.softmax(dim=1) @ v[:, :, 0, 0].T)


def test_a_scan_along_the_sequence_by_hand() -> None:
    """softplus(log(e - 1)) = 1 and exp(a) = log 2: the state halves, then what enters is added; from either end."""
    x, ones = torch.tensor([1.0, 2, 4]).view(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    steps, decay = ones * math.log(math.e - 1), torch.tensor([[math.log(math.log(2))]])
    for reverse, want in ((False, [1, 2.5, 5.25]), (True, [3, 4, 4])):
        scan = ops.SelectiveScan(reverse=reverse)
        y = run(scan, x, steps, ones, ones, log_decay=decay, skip=torch.tensor([0.0]))
        assert y.flatten().tolist() == pytest.approx(want)
        conv = ops.SequenceConv(kernel=2, reverse=reverse)
        y = run(conv, x, weight=torch.tensor([[[10.0, 1]]]), bias=torch.tensor([0.5]))
        assert y.flatten().tolist() == ([21.5, 42.5, 4.5] if reverse else [1.5, 12.5, 24.5])


def test_a_scan_ahead_is_causal_and_one_back_is_refused(tmp_path: Path) -> None:
    text = ONE_WAY.replace("both: false", "both: true")
    (tmp_path / "both.yaml").write_text(text)
    with pytest.raises(archdsl.SpecError, match="a sequence in reverse, whose first frames see the last"):
        archdsl.compile(archdsl.load(tmp_path / "both.yaml"))
    (tmp_path / "ahead.yaml").write_text(ONE_WAY)
    network = archdsl.build(archdsl.load(tmp_path / "ahead.yaml")).eval()
    clip, seen = torch.randn(1, 3, 4, 16, 16), []
    network.get_submodule("main.body").register_forward_hook(lambda _m, _x, y: seen.append(y))
    network(clip)
    clip[:, :, 2:] += 1
    network(clip)
    torch.testing.assert_close(seen[0][:, :, :2], seen[1][:, :, :2])
    assert not torch.allclose(seen[0][:, :, 2:], seen[1][:, :, 2:])


def test_a_scan_one_way_streams(tmp_path: Path) -> None:
    """Frame by frame, or in pieces, a causal network gives what the clip gives; with positions of time it cannot."""
    (tmp_path / "ahead.yaml").write_text(ONE_WAY)
    arch = archdsl.load(tmp_path / "ahead.yaml")
    network = archdsl.build(arch).eval()
    clip = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        want = network(clip)
        for cuts in ((1, 1, 1, 1), (3, 1), (2, 2)):
            state = None
            for piece in clip.split(cuts, dim=2):
                got, state = network.step(piece, state)
            torch.testing.assert_close(got, want)
    held = 24 * (4 - 1) + 24 * 16  # twice the channels: positions before the next one, states of each
    assert stream_state_size(archdsl.compile(arch).graph) == held + 12
    (tmp_path / "placed.yaml").write_text(ONE_WAY.replace("body: ", "places: {positions: {over: [hw, t]}}, body: "))
    placed = archdsl.compile(archdsl.load(tmp_path / "placed.yaml"))
    assert "places" in (placed.whole_clips or "")


ONE_WAY = """
name: one_way
clip: {frames: 4, size: 16}
causal: true
pathways: {main: {stages: {tokens: {patches: {kernel: [1, 8, 8], channels: 12}}, body: {mamba: {both: false}}}}}
head: {classifier: {classes: 5}}
"""


def test_a_class_token_of_tubes_begins_at_zero() -> None:
    network = archdsl.build(archdsl.load("tubevit_b", frames=32, size=32))
    tokens = [weight for name, weight in network.named_parameters() if name.startswith("main.tokens.1")]
    assert [weight.abs().max().item() for weight in tokens] == [0.0]
