"""Motion modules on 2-D nets: integers of mmaction2 and the papers, functions in a few lines of torch, who sees whom."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.blocks import (
    Basic,
    Block,
    Bottleneck,
    ChannelMotion,
    ChannelTimeConv,
    Conv,
    InvertedResidual,
    MotionEnhanced,
    MotionExcitation,
    TemporalAdaptive,
    TemporalDifference,
    TemporalInterlace,
    TimeShift,
)
from archdsl.graph import Builder
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage
from archdsl.ops import UNIT, Grid, Op, Shape
from archdsl.rewrites import pool_in_time, shift_in_time, with_modules
from archdsl.testing import graph_of

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


def module_of(block: Block, shape: Shape) -> nn.Module:
    """A block alone in double precision, its weights and statistics random."""
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    with g.inside("block", type(block).__name__):
        g.outputs["y"] = block.build(g, x)
    network = build_graph(g.finish()).double().eval()
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("running_var") else torch.randn_like(value) * 0.5)
    return network


class Parts:
    """A block's layers as functions, by the names of its ops."""

    def __init__(self, network: nn.Module) -> None:
        self.modules = {name.removeprefix("block."): part for name, part in network.named_modules()}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        part = self.modules[name]
        return part(x.movedim(1, -1)).movedim(-1, 1) if isinstance(part, nn.Linear) else part(x)


def agree(block: Block, shape: Shape, reference: object) -> None:
    """The block equals a function of its layers and its input."""
    network = module_of(block, shape)
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(Parts(network), x), atol=1e-10, rtol=1e-10)  # type: ignore[operator]


def after(x: Tensor, by: int) -> Tensor:
    """Frame t + by of x, one frame at a time; zeros beyond the ends."""
    t = x.shape[2]
    return torch.stack([x[:, :, i + by] if 0 <= i + by < t else torch.zeros_like(x[:, :, 0]) for i in range(t)], 2)


def steps(x: Tensor, y: Tensor, by: int) -> Tensor:
    """y at the neighbour minus x here, frame by frame; zeros where there is no neighbour."""
    there = after(torch.ones_like(x), by)
    return there * (after(y, by) - x)


def test_shift_by_hand() -> None:
    agree(TimeShift(share=4), Shape(9, 5, 2, 3), lambda p, x: torch.cat([after(x[:, :2], 1), after(x[:, 2:4], -1), x[:, 4:]], 1))
    agree(TimeShift(past_only=True), Shape(16, 5, 2, 3), lambda p, x: torch.cat([after(x[:, :2], -1), x[:, 2:]], 1))


@pytest.mark.parametrize(("init", "share"), [("shift", 8), ("swap", 2)])
def test_a_kernel_in_time_starts_as_a_shift(init: str, share: int) -> None:
    g = Builder()
    g.outputs["y"] = ChannelTimeConv(init=init).build(g, g.source("x", Shape(16, 6, 3, 3), Grid(UNIT, UNIT, UNIT)))
    x = torch.randn(2, 16, 6, 3, 3)
    shift = build_graph(graph_of(ops.TimeShift(share=share), (Shape(16, 6, 3, 3),)))
    torch.testing.assert_close(build_graph(g.finish())(x), shift(x))


def test_temporal_adaptive_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        mean = x.mean((3, 4))
        gate = mean[..., None, None]
        for name in ("gate_conv1", "gate_norm"):
            gate = p(name, gate)
        gate = torch.sigmoid(p("gate_conv2", F.relu(gate)))
        hidden = F.relu(p("kernel_norm", p("kernel_fc1", mean.transpose(1, 2)[..., None, None])))
        kernels = p("kernel_fc2", hidden).softmax(1)[:, :, :, 0, 0]
        moved = [after(x * gate, k - 1) * kernels[:, k, :, None, None, None] for k in range(3)]
        return sum(moved)  # type: ignore[return-value]

    agree(TemporalAdaptive(), Shape(8, 5, 3, 4), by_hand)


def test_motion_excitation_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze_norm", p("squeeze", x))
        y = steps(y, p("transform", y), 1).mean((3, 4), keepdim=True)
        return x + x * (torch.sigmoid(p("expand_norm", p("expand", y))) - 0.5)

    agree(MotionExcitation(reduction=4), Shape(16, 5, 4, 4), by_hand)


def test_channel_motion_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze", x)
        return p("expand", steps(y, p("transform", y), 1))

    agree(ChannelMotion(reduction=4, stride=2), Shape(16, 5, 4, 4), by_hand)


def test_temporal_difference_by_hand() -> None:
    """Seven rows: the pool drops the last, the resized map lies on the whole."""

    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze_norm", p("squeeze", x))
        moved, gates = p("transform", y), []
        for by in (1, -1):
            step = steps(y, moved, by)
            coarse = F.avg_pool3d(step, (1, 2, 2))
            coarse = p("ahead.coarse_norm", p("ahead.coarse", coarse))
            coarse = F.interpolate(coarse.flatten(1, 2), step.shape[3:]).view_as(step)
            fine = p("ahead.fine_norm", p("ahead.fine", step))
            gate = p("ahead.expand_norm", p("ahead.expand", (step + coarse + fine) / 3))
            gates.append(torch.sigmoid(gate) - 0.5)
        return x + x * (gates[0] + gates[1]) / 2

    agree(TemporalDifference(reduction=4), Shape(16, 4, 7, 7), by_hand)


def test_both_directions_share_their_weights() -> None:
    network = archdsl.build(archdsl.load("tdn_r50", frames=40, size=64))
    assert not [key for key in network.state_dict() if "behind" in key]


@pytest.mark.parametrize("sigmoid", ["last", "inside"])
def test_motion_enhanced_by_hand(sigmoid: str) -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        mean = x.mean((3, 4), keepdim=True)
        step = p("next", mean)[:, :, 1:] - p("this", mean)[:, :, :-1]
        gate = torch.sigmoid(p("expand", step)) if sigmoid == "last" else p("expand", torch.sigmoid(step))
        return torch.cat([x[:, :, :-1] * gate, x[:, :, -1:]], 2)

    agree(MotionEnhanced(sigmoid=sigmoid), Shape(16, 5, 3, 3), by_hand)


def test_interlace_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        part = x[:, :8]
        mean = part.mean((3, 4), keepdim=True)
        y = F.relu(p("offset_fc1", p("offset_conv", mean).transpose(1, 2)))
        o = 4 * (torch.sigmoid(p("offset_fc2", y)) - 0.5)
        offsets = torch.cat([o, -o], 1)[:, :, 0, 0, 0]
        weights = 2 * torch.sigmoid(p("weight_conv", mean))
        out = torch.zeros_like(part)
        for n in range(2):
            for c in range(8):
                offset = offsets[n, c // 2].item()
                for t in range(x.shape[2]):
                    for source in range(x.shape[2]):
                        nearness = max(0.0, 1 - abs(t - offset - source))
                        out[n, c, t] += nearness * part[n, c, source]
                out[n, c] *= weights[n, (c // 2) % 2]
        return torch.cat([out, x[:, 8:]], 1)

    agree(TemporalInterlace(share=2), Shape(16, 5, 2, 2), by_hand)


def on_random(op: Op, *shapes: Shape) -> tuple[list[Tensor], Tensor]:
    """Random maps, and what the op makes of them."""
    xs = [torch.randn(2, *shape) for shape in shapes]
    network = build_graph(graph_of(op, shapes)).eval()
    return xs, network({f"x{i}": x for i, x in enumerate(xs)} if len(xs) > 1 else xs[0])


def test_small_ops_by_hand() -> None:
    shape = Shape(4, 6, 2, 2)
    (x,), y = on_random(ops.SnippetSteps(length=3), shape)
    torch.testing.assert_close(y, torch.stack([x[:, :, i + 1] - x[:, :, i] for i in (0, 1, 3, 4)], 2))
    (x,), y = on_random(ops.SetFrame(frame=-2, value=3.0), shape)
    assert y[:, :, 4].eq(3).all()
    torch.testing.assert_close(y[:, :, [0, 1, 2, 3, 5]], x[:, :, [0, 1, 2, 3, 5]])
    (a, b), y = on_random(ops.Mix(share=archdsl.load("tdn_r50_16f").edges[0].share), shape, shape)
    torch.testing.assert_close(y, 0.75 * a + 0.25 * b)
    (x,), y = on_random(ops.FrameTuples(size=5), shape)
    assert y.shape == (2, 20, 3, 2, 2)
    torch.testing.assert_close(y[:, :, 0], x[:, :, :5].transpose(1, 2).flatten(1, 2))
    torch.testing.assert_close(y[:, :, 2], x[:, :, 1:].transpose(1, 2).flatten(1, 2))


def test_relations_are_chance_in_training_only() -> None:
    torch.manual_seed(0)
    network = build_graph(graph_of(ops.FrameTuples(size=2), (Shape(1, 8, 1, 1),)))
    x = torch.arange(8.0).view(1, 1, 8, 1, 1)
    drawn = [network.train()(x).flatten().tolist() for _ in range(5)]
    assert len(set(map(tuple, drawn))) > 1
    assert all(pair[0] < pair[1] for few in drawn for pair in zip(few[:3], few[3:]))
    assert network.eval()(x).equal(network(x))


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
    assert block.scaled(archdsl.load("slowfast_4x16_r50").pathways["fast"].width_ratio, "floor").beside == (Conv(channels=1),)


def test_what_cannot_be() -> None:
    arch = small(Basic(channels=16))
    with pytest.raises(archdsl.SpecError, match="no place 'beside' in a Basic"):
        with_modules(arch, {"beside": TimeShift()})
    with pytest.raises(archdsl.SpecError, match="no residual block in stage stem"):
        with_modules(arch, {"before": TimeShift()}, stages=["stem"])
    with pytest.raises(archdsl.SpecError, match="no stage 'res3'"):
        pool_in_time(arch, after="res3")
    with pytest.raises(archdsl.SpecError, match="a share of no sum"):
        Edge(source="a", target="b", after=["x"], share="1/2")
    with pytest.raises(archdsl.SpecError, match="relations of one frame"):
        archdsl.compile(archdsl.load("trn_r50", segments=1))
    with pytest.raises(archdsl.SpecError, match="frames that do not fall into snippets"):
        ops.SnippetSteps(length=5).out(Shape(3, 8, 4, 4))


def test_pathways_that_share_weights_differ_in_no_op() -> None:
    """A shared part runs as its owner, so that another activation would not be another net."""
    arch = small(Bottleneck(channels=16))
    stages = arch.pathways["rgb"].stages
    other = Pathway(stages={**stages, "stem": Stage(Conv(channels=16, kernel=(1, 3, 3), act="silu"))}, tied_to="rgb")
    with pytest.raises(archdsl.SpecError, match="weights that cannot be shared with rgb.stem.0.act"):
        archdsl.compile(arch.but(pathways={**arch.pathways, "twin": other}))
