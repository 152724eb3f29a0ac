"""Motion modules on 2-D nets: integers of mmaction2 and the papers, places in the host, who sees whom."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.blocks import Basic, Block, Bottleneck, Conv, InvertedResidual, TimeShift
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage
from archdsl.ops import Shape
from archdsl.rewrites import pool_in_time, shift_in_time, with_modules

COUNTED = {
    # mmaction2 1.x: parameters, multiply-adds, fvcore 0.1.5; the last also has the 2-D adaptive pools, which follow
    ("tsm_r50", 400): (24_327_632, 32_703_643_648, 32_882_270_208, 802_816),
    ("tsm_r50_16f", 400): (24_327_632, 65_407_287_296, 65_764_540_416, 1_605_632),
    ("tsm_r101", 174): (42_856_686, 62_397_710_336, 62_658_224_128, 802_816),
    ("tsm_r50_nl_embedded", 400): (31_682_000, 61_104_062_464, 61_305_167_872, 802_816),
    ("tsm_mobilenet_v2", 400): (2_736_272, 2_400_050_176, 2_507_401_728, 501_760),
    ("trn_r50_multiscale", 174): (26_641_154, 32_707_963_392, 32_886_589_952, 802_816),
    ("tin_r50", 400): (24_358_640, 32_703_881_088, 32_882_507_648, 802_816),
    ("tanet_r50", 400): (25_590_320, 32_760_128_512, 32_954_144_512, 802_816 + 15_253_504),
}
ROUNDED = {
    # third counts and papers: millions of parameters with 174 classes, 10^9 multiply-adds
    "tea_r50": (24.46, 34.5),
    "tdn_r50": (24.41, 35.6),
    "tdn_r50_16f": (24.41, 71.3),
    "teinet_r50": (24.35, 32.7),
    "stm_r50": (24.04, 33.0),
}


@pytest.mark.parametrize(("name", "classes"), COUNTED)
def test_integers_equal_mmaction2(name: str, classes: int) -> None:
    plan = archdsl.compile(archdsl.load(name, classes=classes))
    *counts, pools = COUNTED[name, classes]
    assert [plan.params, plan.macs, plan.count("fvcore") + pools] == counts


def test_adaptive_pools_of_tanet_by_hand() -> None:
    """One element in, one counted: each bottleneck pools what its first kernel writes."""
    plan = archdsl.compile(archdsl.load("tanet_r50"))
    pooled = [plan.shapes[node.reads[0]].elements for node in plan.nodes if node.address.endswith("between.0.mean")]
    assert (len(pooled), sum(pooled)) == (16, 15_253_504)


@pytest.mark.parametrize("name", ROUNDED)
def test_figures_of_papers(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name, classes=174))
    assert (round(plan.params / 1e6, 2), round(plan.macs / 1e9, 1)) == ROUNDED[name]


def test_two_places_of_the_sigmoid_cost_the_same() -> None:
    last, inside = (archdsl.compile(archdsl.load(n)) for n in ("teinet_r50", "teinet_r50_sigmoid_inside"))
    assert (last.params, last.macs) == (inside.params, inside.macs)


def test_both_directions_share_their_weights() -> None:
    network = archdsl.build(archdsl.load("tdn_r50", frames=40, size=64))
    assert not [key for key in network.state_dict() if "behind" in key]


def small(*blocks: Block, frames: int = 6) -> Arch:
    """A net of one stage on a few small frames."""
    stages = {"stem": Stage(Conv(channels=16, kernel=(1, 3, 3))), "res2": Stage(*blocks)}
    head = Classifier(classes=3)
    return Arch(name="small", clip=Clip(frames=frames, size=8), pathways=dict(rgb=Pathway(stages=stages)), head=head)


def seen_frames(arch: Arch, frame: int) -> list[int]:
    """The frames that move one frame of res2."""
    network = archdsl.build(arch).double().eval()
    kept: list[Tensor] = []
    network.get_submodule("rgb.res2").register_forward_hook(lambda module, args, result: kept.append(result))
    clip = torch.randn(1, 3, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    network(clip)
    kept[0][:, :, frame].square().sum().backward()
    assert clip.grad is not None
    return clip.grad.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()


def test_who_sees_whom() -> None:
    arch = small(Bottleneck(channels=32, zero_init=False), Bottleneck(channels=32, zero_init=False))
    assert seen_frames(arch, 3) == [3]
    assert seen_frames(shift_in_time(arch), 3) == [1, 2, 3, 4, 5]
    assert seen_frames(shift_in_time(arch, each=2), 3) == [2, 3, 4]
    assert seen_frames(shift_in_time(arch, past_only=True), 3) == [1, 2, 3]
    spans = [archdsl.compile(a).grids["rgb.res2.1.sum"].t.span for a in (arch, shift_in_time(arch))]
    assert spans == [1, 5]


def test_the_shortcut_is_shifted_only_in_blocks() -> None:
    arch = small(Bottleneck(channels=16))  # starts as its shortcut
    network = archdsl.build(shift_in_time(arch)).eval()
    plain, shifted = archdsl.build(arch).eval(), archdsl.build(shift_in_time(arch, place="block")).eval()
    x = torch.randn(1, 3, 6, 8, 8)
    for other in (network, shifted):
        own = {key.replace("res2.1.", "res2.0."): key for key in other.state_dict()}
        other.load_state_dict({own[key]: value for key, value in plain.state_dict().items()})
    torch.testing.assert_close(network(x), plain(x))
    assert not torch.allclose(shifted(x), plain(x))


def test_shifts_of_the_zoo_stand_where_the_authors_put_them() -> None:
    def shifted(name: str) -> dict[str, int]:
        stages = archdsl.load(name).pathways["main"].stages
        return {s: n for s, held in stages.items() if (n := sum(bool(getattr(b, "before", ())) for b in held.blocks))}

    assert shifted("tsm_r50") == dict(res2=3, res3=4, res4=6, res5=3)
    assert shifted("tsm_r101") == dict(res2=2, res3=2, res4=12, res5=2)
    assert shifted("tsm_mobilenet_v2") == dict(stage2=1, stage3=2, stage4=3, stage5=2, stage6=2)
    assert archdsl.compile(archdsl.load("tsm_r50_pool")).shapes["main.res5"] == Shape(2048, 4, 7, 7)


def test_modules_join_those_that_stand_there() -> None:
    arch = shift_in_time(shift_in_time(small(InvertedResidual(channels=16), InvertedResidual(channels=16))), share=4)
    assert arch.pathways["rgb"].stages["res2"].blocks[1].before == (TimeShift(), TimeShift(share=4))


def test_widths_within_residual_blocks_are_scaled() -> None:
    block = Bottleneck(channels=32, beside=(Conv(channels=8),))
    assert block.scaled(Fraction(1, 8), "floor").beside == (Conv(channels=1),)


def test_what_cannot_be() -> None:
    arch = small(Basic(channels=16))
    with pytest.raises(archdsl.SpecError, match="no place 'beside' in a Basic"):
        with_modules(arch, {"beside": TimeShift()})
    with pytest.raises(archdsl.SpecError, match="no residual block in stage stem"):
        with_modules(arch, {"before": TimeShift()}, stages=["stem"])
    with pytest.raises(archdsl.SpecError, match="no stage 'res3'"):
        pool_in_time(arch, after="res3")
    with pytest.raises(archdsl.SpecError, match="`share` needs `merge: sum`"):
        Edge(source="a", target="b", after=["x"], share="1/2")
    with pytest.raises(archdsl.SpecError, match="relations of one frame"):
        archdsl.compile(archdsl.load("trn_r50", segments=1))
    with pytest.raises(archdsl.SpecError, match="frames not divisible into snippets"):
        ops.SnippetSteps(length=5).out(Shape(3, 8, 4, 4))


def test_pathways_that_share_weights_differ_in_no_op() -> None:
    """A shared part runs as its owner, so that another activation would not be another net."""
    arch = small(Bottleneck(channels=16))
    stages = arch.pathways["rgb"].stages
    other = Pathway(stages={**stages, "stem": Stage(Conv(channels=16, kernel=(1, 3, 3), act="silu"))}, tied_to="rgb")
    with pytest.raises(archdsl.SpecError, match=r"weights that cannot be shared with rgb\.stem\.0\.act"):
        archdsl.compile(arch.but(pathways={**arch.pathways, "twin": other}))


def test_the_temporal_pool_keeps_the_largest_of_three_frames() -> None:
    """TSM's temporal_pool: kernel 3, stride 2, padded by 1 in time alone; its names stand behind their stage."""
    stages = {name: Stage(Bottleneck(channels=16)) for name in ("res2", "res3")}
    arch = Arch(
        name="net", clip=Clip(frames=8, size=8), pathways={"rgb": Pathway(stages=stages)}, head=Classifier(classes=3)
    )
    network = archdsl.build(pool_in_time(shift_in_time(arch), after="res2"))
    assert [name for name, _ in network.rgb.named_children()] == ["res2", "pool_res2", "res3"]
    x = torch.randn(2, 16, 8, 3, 5)
    want = torch.nn.functional.max_pool3d(x, (3, 1, 1), (2, 1, 1), (1, 0, 0))
    assert torch.equal(network.rgb.pool_res2(x), want)
