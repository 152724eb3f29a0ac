"""Causal networks: no frame sees a later one, and a clip read in pieces gives what it gives as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.blocks import (
    AdaptiveAvgPool,
    AvgPool,
    Basic,
    Bottleneck,
    Conv,
    ExpandedBottleneck,
    MaxPool,
    NonLocal,
    SqueezeExcite,
    TimeShift,
)
from archdsl.compiler.causal import CausalBuilder, streams
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Localiser, Pathway, Stage
from archdsl.ops import UNIT, Grid, Op, Shape
from archdsl.rewrites import causal
from archdsl.testing import ops as random_ops
from archdsl.testing.arches import plain_arches as arches
from tests.beside import one_frame

WITHOUT_SPACE = AdaptiveAvgPool(size=(0, 1, 1))
GATE = SqueezeExcite(over="thw", ratio=0.5)
BLOCKS = [
    Conv(channels=4, kernel=(3, 3, 3)),
    Conv(channels=4, kernel=(2, 1, 1), pad="valid"),
    Conv(channels=4, kernel=(3, 3, 3), dilation=(2, 1, 1), pad="tf_same", stride=(1, 2, 2)),
    MaxPool(kernel=(3, 2, 2)),
    TimeShift(share=2),
    AvgPool(kernel=(3, 1, 1)),
    Basic(channels=4, kernel_t=3),
    Bottleneck(channels=8, kernel=(3, 3, 3)),
    ExpandedBottleneck(channels=4, inner=8, middle_se=GATE),
    ExpandedBottleneck(channels=4, inner=8, middle_se=SqueezeExcite(over="past", ratio=0.5)),
]


def arch_of(*blocks: Any, frames: int = 6, pool: Any = "average") -> Arch:
    """A small network of these blocks."""
    stages = {f"stage{i}": Stage(block) for i, block in enumerate(blocks)}
    head = Classifier(classes=5, pool=pool)
    return Arch(name="small", clip=Clip(frames=frames, size=8), pathways={"rgb": Pathway(stages=stages)}, head=head)


def built(arch: Arch) -> nn.Module:
    """The network in eval mode, in double, its norms and gains with values that matter."""
    torch.manual_seed(0)
    network = archdsl.build(arch).double().eval()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            small = torch.randn_like(value) / 4
            value.copy_(torch.rand_like(value) + 0.1 if "norm" in name else small)
    return network


def in_pieces(network: Any, clip: Tensor, cuts: list[int]) -> list[Tensor]:
    """What the network gives after each piece of a clip."""
    given, state = [], None
    for first, last in zip([0, *cuts], [*cuts, clip.shape[2]]):
        scores, state = network.step(clip[:, :, first:last], state)
        given.append(scores)
    return given


@settings(max_examples=25)
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=3), st.sampled_from(["average", "none"]), st.data())
def test_pieces_of_a_clip_give_what_the_clip_gives(blocks: list[Any], pool: str, data: st.DataObject) -> None:
    network = built(causal(arch_of(*blocks, pool=pool)))
    clip = torch.randn(2, 3, 6, 8, 8, dtype=torch.double)
    cuts = sorted(data.draw(st.sets(st.integers(1, 5))))
    with torch.no_grad():
        for end, scores in zip([*cuts, 6], in_pieces(network, clip, cuts)):
            torch.testing.assert_close(scores, network(clip[:, :, :end]))
        torch.testing.assert_close(network(clip), scores)  # a stream leaves nothing behind


@settings(max_examples=30)
@given(arches(), st.integers(1, 3))
def test_no_stage_sees_a_later_frame(arch: Arch, kept: int) -> None:
    """Any arch that can be causal: with later frames changed, earlier elements of every stage stay as they are."""
    try:
        plan = archdsl.compile(causal(arch))
    except SpecError:
        return
    network = archdsl.build(plan).double().eval()
    clips = {name: torch.randn(1, *shape, dtype=torch.double) for name, shape in plan.inputs.items()}
    seen: dict[str, Tensor] = {}

    def keep(address: str, y: Any) -> None:
        if isinstance(y, Tensor):
            seen[address] = y

    for address, scope in plan.scopes.items():
        if scope.kind == "Stage":
            part = network.get_submodule(address)
            part.register_forward_hook(lambda _m, _x, y, at=address: keep(at, y))
    outputs = []
    for changed in (0.0, 1.0):
        fed = {name: torch.cat([x[:, :, :kept], x[:, :, kept:] + changed], dim=2) for name, x in clips.items()}
        with torch.no_grad():
            network(fed if len(fed) > 1 else fed[next(iter(fed))])
        outputs.append(dict(seen))
    for address, before in outputs[0].items():
        early = [i for i, frame in enumerate(newest_frames(plan, address)) if frame < kept]
        torch.testing.assert_close(before[:, :, early], outputs[1][address][:, :, early])


def newest_frames(plan: archdsl.Plan, stage: str) -> list[int]:
    """For each element of a stage's result the source frame it stands for: the one its pathway chose, by its stride."""
    last = [address for address in plan.graph.nodes if address.startswith(f"{stage}.")][-1]
    name = stage.partition(".")[0]
    choice, clip = plan.graph.nodes.get(f"{name}.frames"), next(iter(plan.inputs.values()))
    frames = list(range(clip[1]))
    if choice is not None:
        op: Any = choice.op
        frames = frames[op.start :: op.step] if isinstance(op, ops.TakeEvery) else list(op.frames(clip[1]))
    stride = len(frames) * plan.grids[last].t.step / clip[1]
    return [frames[int(i * stride)] for i in range(plan.shapes[last].t)]


FIELDLESS = [kind for kind in ops.OPS if kind is not ops.Source and kind.takes_ids is None]


@pytest.mark.parametrize("kind", FIELDLESS, ids=lambda kind: kind.__name__)
@settings(max_examples=10)
@given(st.data())
def test_an_op_said_to_take_each_frame_by_itself_does(kind: type[Op], data: st.DataObject) -> None:
    op, xs = data.draw(random_ops(kind))
    if not op.each_frame or len({x.t for x in xs}) > 1 or isinstance(op, ops.Dropout | ops.DropPath | ops.MeanJoin):
        return
    network = build_graph(archdsl.testing.graph_of(op, xs)).eval()
    maps = [torch.randn(1, *x.tensor) for x in xs]
    frame = data.draw(st.integers(0, xs[0].t - 1))
    one = [one_frame(value, x, frame) for value, x in zip(maps, xs)]
    named = [{f"x{i}": x for i, x in enumerate(some)} if len(some) > 1 else some[0] for some in (maps, one)]
    alone = build_graph(archdsl.testing.graph_of(op, tuple(x._replace(t=1) for x in xs))).eval()
    alone.load_state_dict(network.state_dict())
    torch.testing.assert_close(one_frame(network(named[0]), op.out(*xs), frame), alone(named[1]))


CHOICES = [{"every": 2}, {"every": 3, "start": 1}, {"segments": 4}, {"linspace": 5}]


@settings(max_examples=25)
@given(st.sampled_from(CHOICES), st.sampled_from(BLOCKS), st.sampled_from(["average", "none"]), st.data())
def test_a_stream_brings_the_frames_that_a_clip_would_choose(
    frames: dict[str, int], block: Any, pool: str, data: st.DataObject
) -> None:
    """The frames chosen, in pieces, give what the whole clip gives; so does their state's size and a frame's cost."""
    arch = causal(arch_of(block, TimeShift(share=2), frames=12, pool=pool))
    arch = arch.but(pathways={"rgb": Pathway(stages=arch.pathways["rgb"].stages, **frames)})
    plan, network = archdsl.compile(arch), built(arch)
    clip = torch.randn(2, 3, 12, 8, 8, dtype=torch.double)
    op: Any = plan.graph.nodes["rgb.frames"].op
    chosen = clip[:, :, op.start :: op.step] if "every" in frames else clip[:, :, list(op.frames(12))]
    cuts = sorted(data.draw(st.sets(st.integers(1, chosen.shape[2] - 1))))
    with torch.no_grad():
        *_, scores = in_pieces(network, chosen, cuts)
        torch.testing.assert_close(scores, network(clip))
        _, state = network.step(chosen[:, :, :1])
        with pytest.raises(ValueError, match=r"clip: expected torch.float64 \(n, 3, 12, 8, 8\), got"):
            network(chosen)
    assert plan.one_frame
    assert plan.one_frame.shapes["clip"].t == plan.one_frame.shapes["rgb"].t == 1
    assert sum(held[0][0].numel() for held in state.values()) == plan.held


def test_pathways_that_choose_differently_do_not_stream() -> None:
    stages = causal(arch_of(TimeShift(share=2))).pathways["rgb"].stages
    one = arch_of(TimeShift(share=2))
    for every, reads in ((2, True), (3, False)):
        pathways = {"slow": Pathway(every=2, stages=stages), "fast": Pathway(every=every, stages=stages)}
        arch = causal(one.but(clips={"clip": Clip(frames=6, size=8)}, pathways=pathways))
        assert streams(archdsl.compile(arch).graph) == reads


def test_scores_of_every_frame_come_as_frames_do() -> None:
    arch = causal(arch_of(Conv(channels=4, kernel=(3, 3, 3)), WITHOUT_SPACE, TimeShift(share=2))).but(head=Localiser())
    network, clip = built(arch), torch.randn(2, 3, 6, 8, 8, dtype=torch.double)
    with torch.no_grad():
        pieces = in_pieces(network, clip, [1, 2, 5])
        assert [y.shape[2] for y in pieces] == [1, 1, 3, 1]
        torch.testing.assert_close(torch.cat(pieces, 2), network(clip))


def test_tsm_streams_frame_by_frame() -> None:
    """An eighth of what each block reads, and the mean of the scores so far."""
    plan = archdsl.compile(archdsl.load("tsm_r50_online"))
    held = (
        (8 + 2 * 32) * 56**2 + 32 * 56**2 + 3 * 64 * 28**2 + 64 * 28**2 + 5 * 128 * 14**2 + 128 * 14**2 + 2 * 256 * 7**2
    )
    assert plan.held == held + 400 == 702_864
    assert plan.one_frame
    assert (plan.macs, plan.one_frame.macs) == (32_703_643_648, 32_703_643_648 // 8)
    network = built(archdsl.load("tsm_r50_online", size=32, classes=5)).float()
    clip = torch.randn(1, 3, 64, 32, 32)
    with torch.no_grad():
        *_, scores = in_pieces(network, clip[:, :, 4::8], [1, 2, 3, 4, 5, 6, 7])
        torch.testing.assert_close(scores, network(clip), rtol=1e-3, atol=1e-3)


def test_a_window_reaches_back_by_hand() -> None:
    conv = ops.Conv(out_channels=2, kernel=(3, 3, 3), dilation=(2, 1, 1), stride=(1, 2, 2))
    past, flat = conv.causal(Shape(2, 5, 8, 8))
    assert past == ops.Past(frames=4)
    assert flat.out(past.out(Shape(2, 5, 8, 8))) == Shape(2, 5, 4, 4)
    assert past.held(Shape(2, 5, 8, 8)) == 2 * 4 * 8 * 8


def test_a_causal_map_lies_where_its_newest_frame_lies() -> None:
    g = CausalBuilder()
    x = g.source("clip", Shape(3, 6, 8, 8), Grid(UNIT, UNIT, UNIT))
    y = Conv(channels=4, kernel=(3, 3, 3)).build(g, x)
    assert g.grid(y).t == (1, 0, 3)
    assert not g.faults


@pytest.mark.parametrize(
    ("blocks", "what"),
    [
        ((NonLocal(),), "Affinity may see later frames"),
        ((MaxPool(kernel=(0, 1, 1)),), "a window over all frames"),
        ((AvgPool(kernel=(3, 1, 1), count_pad=False),), "causal mean over frames without their padding"),
    ],
)
def test_what_cannot_be_causal_is_said(blocks: Any, what: str) -> None:
    with pytest.raises(SpecError) as told:
        archdsl.compile(causal(arch_of(*blocks)))
    assert what in {fault.what for fault in told.value.faults}


def test_the_mean_of_all_frames_is_not_merged_with_each() -> None:
    """A gate of the whole clip would show early frames what comes later."""
    g = CausalBuilder()
    x = g.source("clip", Shape(3, 6, 8, 8), Grid(UNIT, UNIT, UNIT))
    assert g.add("scale", ops.Mul(), x, g.add("mean", ops.AdaptiveAvgPool(), x)) == "?"
    assert [fault.what for fault in g.faults] == ["all frames so far, merged with each frame"]


def test_only_networks_that_hold_something_have_a_step() -> None:
    plain = archdsl.compile(arch_of(Conv(channels=4, kernel=(3, 3, 3))))
    assert not streams(plain.graph)
    assert "def step" not in archdsl.emit(plain)
    strided = archdsl.compile(causal(arch_of(Conv(channels=4, kernel=(3, 3, 3), stride=(2, 1, 1)))))
    assert not streams(strided.graph)
    assert archdsl.compile(causal(plain.arch)).params == plain.params


def test_causal_is_a_word_of_both_forms() -> None:
    arch = causal(arch_of(Conv(channels=4, kernel=(3, 3, 3))), name="small_causal")
    assert (arch.name, arch.causal) == ("small_causal", True)
    assert Arch(**arch.model_dump(mode="json", exclude_defaults=True)) == arch
