"""Arch -> plan: order, widths nobody wrote, places in time, costs by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from archdsl import Arch, Clip, Edge, Pathway, SpecError, Stage, compile, load
from archdsl.blocks import Basic, Bottleneck, Conv, MaxPool
from archdsl.language import (
    Classifier,
    TimeConv,
    TimeDeconv,
    TimeRepeat,
    TimeSample,
    TimeToChannels,
    Transform,
    repeat,
)
from archdsl.testing.arches import plain_arches as arches

PRIMER = Path(__file__).parent.parent / "specs" / "primer"


def stages(c: int = 16) -> dict[str, Stage]:
    return dict(stem=Stage(Conv(channels=c, stride=(1, 2, 2))), res2=Stage(Basic(channels=2 * c)))


def two(*edges: Edge, slow: int = 8, fast: int = 2, frames: int = 32, **fields: Any) -> Arch:
    pathways = dict(slow=Pathway(every=slow, stages=stages()), fast=Pathway(every=fast, stages=stages(4)))
    given = {"clip": Clip(frames=frames, size=16), "pathways": pathways, "edges": edges, "head": Classifier(classes=5)}
    return Arch(**{"name": "net", **given, **fields})


def fault(arch: Arch) -> Any:
    with pytest.raises(SpecError) as caught:
        compile(arch)
    return caught.value.faults[0]


# Costs


def test_a_small_network_by_hand() -> None:
    arch = Arch(
        name="net",
        clip=Clip(frames=4, size=8),
        pathways=dict(
            main=Pathway(
                stages=dict(stem=Stage(Conv(channels=8, kernel=(3, 3, 3))), res2=Stage(Bottleneck(channels=16)))
            )
        ),
        head=Classifier(classes=5),
    )
    plan = compile(arch)
    positions = 4 * 8 * 8
    stem = 8 * 3 * 27
    block = 8 * 4 + 4 * 4 * 9 + 4 * 16 + 8 * 16
    norms = 2 * (8 + 4 + 4 + 16 + 16)
    assert plan.params == stem + block + norms + 16 * 5 + 5
    assert plan.macs == (stem + block) * positions + 16 * 5
    assert plan.count("flops") == 2 * plan.macs
    elements = (8 + 4 + 4 + 16 + 16) * positions
    assert plan.count("fvcore") == plan.macs + 2 * elements
    assert plan.count("ptv-zoo") == plan.macs + 5 * elements
    assert plan.count("macs", batch=3) == 3 * plan.macs
    assert plan.cost_of("main.stem").params == stem + 16
    assert plan.cost_of("main").params + plan.cost_of("head").params == plan.params


def test_no_such_convention() -> None:
    with pytest.raises(SpecError, match="no convention 'mac'"):
        compile(two()).count("mac")


@given(arches())
def test_costs_of_parts_are_the_whole(arch: Arch) -> None:
    plan = compile(arch)
    assert sum(cost.params for cost in plan.costs.values()) == plan.params
    tops = {address.partition(".")[0] for address in plan.costs}
    assert sum(plan.cost_of(top).macs for top in tops) == plan.macs
    assert set(plan.costs) == set(plan.graph.nodes) == set(plan.graph.shapes) == set(plan.grids)


@given(arches())
def test_nodes_come_after_what_they_read(arch: Arch) -> None:
    seen: set[str] = set()
    for node in compile(arch).nodes:
        assert set(node.reads) <= seen
        seen.add(node.address)


@settings(max_examples=20)
@given(arches())
def test_compiling_twice_gives_the_same(arch: Arch) -> None:
    one, other = compile(arch), compile(arch)
    assert one.graph == other.graph
    assert list(one.graph.nodes) == list(other.graph.nodes)


# Edges


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (TimeConv(), (16 + 2 * 4, 4, 8, 8)),
        (TimeConv(kernel=7, width=Fraction(1, 2)), (16 + 2, 4, 8, 8)),
        (TimeToChannels(), (16 + 4 * 4, 4, 8, 8)),
        (TimeSample(), (16 + 4, 4, 8, 8)),
    ],
)
def test_from_fast_to_slow(transform: Transform, shape: tuple[int, ...]) -> None:
    plan = compile(two(Edge(source="fast", target="slow", after="stem", transform=transform)))
    assert plan.shapes["edges.stem.fast_to_slow"] == shape
    assert plan.shapes["slow.stem"] == (16, 4, 8, 8), "the stage itself stays as it was"
    assert plan.graph.nodes["slow.res2.0.conv_a"].reads == ("edges.stem.fast_to_slow.merge",)
    assert plan.warnings == ()


@pytest.mark.parametrize(("transform", "c"), [(TimeDeconv(kernel=3), 32), (TimeRepeat(), 16)])
def test_from_slow_to_fast(transform: Transform, c: int) -> None:
    plan = compile(two(Edge(source="slow", target="fast", after="stem", transform=transform)))
    assert plan.shapes["edges.stem.slow_to_fast"] == (4 + c, 16, 8, 8)


def test_both_ways_read_what_the_stages_themselves_give() -> None:
    there = Edge(source="fast", target="slow", after=("stem", "res2"), transform=TimeConv())
    back = Edge(source="slow", target="fast", after=("stem", "res2"), transform=TimeRepeat())
    plan = compile(two(there, back))
    assert plan.shapes["edges.stem.fast_to_slow"].c == 16 + 8
    assert plan.shapes["edges.stem.slow_to_fast"].c == 4 + 16
    assert plan.graph.nodes["edges.stem.slow_to_fast.repeat"].reads == ("slow.stem.0.act",)


def test_several_edges_into_one_stage_follow_each_other() -> None:
    first = Edge(source="fast", target="slow", after="stem", transform=TimeConv(), name="one")
    second = Edge(source="fast", target="slow", after="stem", transform=TimeSample(), name="two")
    plan = compile(two(first, second))
    assert plan.shapes["edges.stem.one"].c == 16 + 8
    assert plan.shapes["edges.stem.two"].c == 16 + 8 + 4


def test_an_edge_may_skip_ahead_within_a_pathway() -> None:
    edge = Edge(source="slow", target="slow", after="stem", into="res2", merge="concat")
    assert compile(two(edge)).shapes["edges.res2.slow_to_slow"].c == 32 + 16


def test_a_sum_of_equal_widths() -> None:
    edge = Edge(source="fast", target="slow", after="stem", transform=TimeConv(width=4), merge="sum")
    assert compile(two(edge)).shapes["edges.stem.fast_to_slow"] == (16, 4, 8, 8)


def test_alpha_is_told_where_it_is_wrong() -> None:
    told = fault(two(Edge(source="fast", target="slow", after="stem", transform=TimeConv(alpha=2))))
    assert (told.what, told.fix) == (
        "concat of maps that differ in t",
        "alpha: 4, or leave alpha out: it is worked out",
    )


def test_linspace_and_every_meet_with_a_warning_at_most() -> None:
    """4 of 32 by linspace have the step 8, as every eighth has; their centres lie 3.25 frames behind."""
    slow = Pathway(linspace=4, stages=stages())
    arch = two(Edge(source="fast", target="slow", after="stem", transform=TimeSample()))
    plan = compile(arch.but(pathways={**arch.pathways, "slow": slow}))
    assert plan.grids["slow.frames"].t.start == Fraction(13, 4)
    assert plan.warnings == ()


def test_frame_rates_of_clips_are_part_of_the_ratio() -> None:
    """25 frames and 100 elements a second: four elements on a frame."""
    plan = compile(load(PRIMER / "09_two_clips.yaml"))
    sound, video = plan.grids["listen.stem.0.act"], plan.grids["look.stem.0.act"]
    assert video.tick / sound.tick == 4


# Pathways


def test_a_pathway_may_follow_another() -> None:
    arch = two()
    more = Pathway(after="slow.stem", stages=dict(more=Stage(Conv(channels=3))))
    plan = compile(arch.but(pathways={**arch.pathways, "more": more}, head=Classifier(classes=5, reads=("more",))))
    assert plan.graph.nodes["more.more.0.conv"].reads == ("slow.stem.0.act",)
    assert plan.outputs == {"scores": (5,)}


def test_a_pathway_after_another_reads_its_last_stage_with_what_is_merged_into_it() -> None:
    arch = two(Edge(source="fast", target="slow", after="res2", transform=TimeSample(), merge="concat"))
    more = Pathway(after="slow", stages=dict(more=Stage(Conv(channels=3))))
    plan = compile(arch.but(pathways={**arch.pathways, "more": more}))
    assert plan.graph.nodes["more.more.0.conv"].reads == ("edges.res2.fast_to_slow.merge",)
    read = {x for node in plan.nodes if node.address.startswith("head.") for x in node.reads}
    assert "more.more.0.act" in read  # the head reads the ends: not what `more` reads on
    assert "edges.res2.fast_to_slow.merge" not in read


def test_tied_pathways_share_their_weights() -> None:
    pathways = {
        "one": Pathway(clip="left", stages=stages()),
        "other": Pathway(clip="right", tied_to="one", stages=stages()),
    }
    clips = {"left": Clip(frames=8, size=16), "right": Clip(frames=8, size=16)}
    tied = compile(Arch(name="net", clips=clips, pathways=pathways, head=Classifier(classes=5)))
    free = {name: p.but(tied_to=None) for name, p in pathways.items()}
    apart = compile(Arch(name="net", clips=clips, pathways=free, head=Classifier(classes=5)))
    assert tied.cost_of("other").params == 0
    assert apart.params - tied.params == tied.cost_of("one").params
    assert tied.macs == apart.macs


def test_widths_of_a_scaled_pathway() -> None:
    stages = dict(stem=Stage(Conv(channels=64)), res2=Stage(*repeat(Bottleneck(channels=256), 2)))
    thin = Pathway(stages=stages, width_ratio=Fraction(1, 8))
    plan = compile(Arch(name="net", clip=Clip(frames=2, size=8), pathways=dict(main=thin), head=Classifier(classes=5)))
    assert plan.shapes["main.stem"].c == 8
    assert plan.shapes["main.res2"].c == 32
    assert plan.shapes["main.res2.0.conv_b"].c == 8


def test_a_head_may_keep_its_window_at_any_size() -> None:
    """7 of 8 positions leave 2 x 2; a classifier on each, then the mean."""
    stages = dict(stem=Stage(Conv(channels=4), MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")))
    arch = Arch(
        name="net",
        clip=Clip(frames=2, size=16),
        pathways=dict(main=Pathway(stages=stages)),
        head=Classifier(classes=5, window=7),
    )
    plan = compile(arch)
    assert plan.shapes["head.classifier"] == (5, 1, 2, 2)
    assert plan.cost_of("head").linear_macs == 4 * 5 * 4
    assert plan.outputs == {"scores": (5,)}


def test_shapes_of_stages_and_blocks_are_their_last_ops() -> None:
    plan = compile(two())
    assert plan.shapes["slow.res2"] == plan.shapes["slow.res2.0"] == plan.shapes["slow.res2.0.act"] == (32, 4, 8, 8)


# Faults


def test_all_faults_in_one_go() -> None:
    arch = two(
        Edge(source="fast", target="slow", after="stem", transform=TimeToChannels(alpha=3)),
        Edge(source="fast", target="slow", after="res2", transform=TimeSample(), merge="sum", name="again"),
    )
    broken = Pathway(stages=dict(stem=Stage(Conv(channels=6, groups=4))))
    with pytest.raises(SpecError) as caught:
        compile(arch.but(pathways={**arch.pathways, "third": broken}))
    ats = [fault.at for fault in caught.value.faults]
    assert {"edges.stem.fast_to_slow.pack", "third.stem.0.conv"} <= set(ats)
    assert all(fault.written and fault.written.startswith("test_compiler.py:") for fault in caught.value.faults)


def test_frames_that_do_not_divide() -> None:
    told = fault(two(frames=60, slow=16, fast=4))
    assert (told.what, told.got, told.fix) == (
        "pathway slow: frames not divisible by the frame step",
        "60 frames taken every 16",
        "48 or 64 frames",
    )


def test_a_cycle_names_its_stages() -> None:
    there = Edge(source="fast", target="slow", after="res2", into="stem", transform=TimeSample())
    back = Edge(source="slow", target="fast", after="res2", into="stem", transform=TimeRepeat())
    told = fault(two(there, back))
    assert told.what == "a cycle of edges"
    assert told.at == "edges.fast_to_slow, edges.slow_to_fast"


# What nothing reads


def test_a_stage_that_no_output_is_made_from_is_told() -> None:
    """The head reads slow alone: what fast does after the stem, where the edge leaves, is in vain."""
    edge = Edge(source="fast", target="slow", after="stem", transform=TimeConv())
    arch = two(edge)
    plan = compile(arch.but(head=arch.head.but(reads=("slow",))))
    (told,) = plan.warnings
    assert (told.what, told.at) == ("a part that no output depends on", "fast.res2")
    left_out = sum(plan.costs[address].macs + plan.costs[address].fvcore_extra for address in plan.within["fast.res2"])
    assert left_out > 0
    assert plan.total.macs + plan.total.fvcore_extra - plan.count("fvcore") == left_out


def test_a_clip_that_nothing_reads_is_told() -> None:
    arch = two()
    reading = {name: pathway.but(clip="clip") for name, pathway in arch.pathways.items()}
    plan = compile(arch.but(clips={**arch.clips, "spare": Clip(frames=4, size=8)}, pathways=reading))
    assert [(told.at, told.want) for told in plan.warnings] == [("spare", "a pathway that reads it")]
