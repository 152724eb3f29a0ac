"""Whatever offers `step` gives what the clip gives: random causal, recurrent and key-frame nets. The rest say why."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.blocks import Block, Branches, Conv, ConvGru, Gru, Lstm, Mamba, NewestFrame, TimeShift, Transformer
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language import Arch, Classifier, Clip, Consensus, Edge, Pathway, Stage
from archdsl.testing.arches import keyed_arches

OPS: list[ops.Op] = [
    ops.Relu(),
    ops.NewestFrame(),
    ops.NewestFrame(),
    ops.MeanSoFar(),
    ops.Past(frames=2),
    ops.PastShift(share=2),
    ops.GruScan(),
    ops.GruScan(reverse=True),
    ops.Conv(out_channels=6, kernel=(3, 1, 1), pad="valid"),
    ops.Conv(out_channels=6, kernel=(3, 1, 1)),
    ops.Conv(out_channels=6, kernel=(1, 3, 3)),
    ops.Add(),
    ops.Mul(),
    ops.Concat(),
    ops.AdaptiveAvgPool(size=(0, 1, 1)),
    ops.AdaptiveAvgPool(),
    ops.RepeatFrames(times=3),
    ops.FrameDifference(),
    ops.TakeEvery(step=2),
]


class Wired(Block):
    """A few ops, each with what it reads: values are counted back from the last one."""

    wires: tuple[tuple[int, tuple[int, ...]], ...]

    def build(self, g: Builder, x: str) -> str:
        values = [x, g.add("first", ops.Conv(out_channels=6, kernel=(1, 1, 1)), x)]
        for i, (op, reads) in enumerate(self.wires):
            count = OPS[op].reads or 2
            values.append(g.add(f"op{i}", OPS[op], *[values[-1 - read % len(values)] for read in reads[:count]]))
        return values[-1]


WIRED = st.builds(
    Wired,
    wires=st.lists(
        st.tuples(st.integers(0, len(OPS) - 1), st.tuples(st.integers(0, 1), st.integers(0, 4))), min_size=1, max_size=4
    ).map(tuple),
)
SCANS = [Lstm(hidden=4), Lstm(hidden=4, give="last"), ConvGru(hidden=3, give="last"), Gru(hidden=3, reverse=True)]
KNOWN: list[Block] = [
    *SCANS,
    NewestFrame(),
    TimeShift(share=2),
    Conv(channels=4, kernel=(3, 1, 1)),
    Transformer(heads=1),
    Transformer(heads=1, attend=("t", "hw")),
    Transformer(heads=1, attend=({"over": "thw", "frames": 2}, {"over": "t", "frames": 0})),
    Mamba(both=False, states=2),
    Mamba(both=False, states=3, kernel=6),
    Mamba(states=2),
    Branches(branches={"each": Gru(hidden=2), "back": Gru(hidden=2, reverse=True)}),
    Branches(branches={"newest": NewestFrame(), "last": Gru(hidden=2, give="last")}),
]
STAGES = st.lists(st.one_of(WIRED, st.sampled_from(KNOWN)), min_size=1, max_size=3)
CHOICES: list[dict[str, int]] = [{}, {}, {"every": 2}, {"every": 3, "start": 1}, {"segments": 3}, {"linspace": 4}]
GATE = Wired(wires=((1, (0,)), (12, (0, 1))))
"""Each frame times the newest."""
HEADS = [Classifier(classes=5), Classifier(classes=5, pool="none"), Consensus(classes=5, over="each")]


@st.composite
def nets(draw: Any) -> Arch:
    """One pathway, or two that read one clip or two and may choose differently, one fused into the other."""
    names = ["rgb", "more"][: draw(st.integers(1, 2))]
    several = len(names) == 2 and draw(st.booleans())
    clips = {f"{name}_clip": Clip(frames=draw(st.sampled_from([6, 6, 12])), size=4) for name in names}
    pathways = {
        name: Pathway(
            clip=f"{name if several else 'rgb'}_clip",
            stages={"one": Stage(*draw(STAGES)), "two": Stage(*draw(STAGES))},
            **draw(st.sampled_from(CHOICES)),
        )
        for name in names
    }
    edges = (Edge(source="more", target="rgb", after=("one",), merge="concat"),) if len(names) == 2 else ()
    return Arch(
        name="net",
        clips=clips if several else {"rgb_clip": clips["rgb_clip"]},
        pathways=pathways,
        edges=edges,
        head=draw(st.sampled_from(HEADS)).but(reads=("rgb",)),
        causal=draw(st.booleans()),
    )


def streams_right(arch: Arch, data: st.DataObject) -> None:
    """A network that has `step` gives by pieces what it gives by the clip; one that has none says why."""
    try:
        plan = archdsl.compile(arch)
    except SpecError:
        return
    torch.manual_seed(0)
    network: Any = archdsl.build(plan).double().eval()
    holds = any(node.op.stateful or isinstance(node.op, ops.KeyPairs) for node in plan.nodes)
    assert hasattr(network, "step") == (holds and plan.whole_clips is None)
    assert ("takes whole clips: " in (type(network).__doc__ or "")) == (plan.whole_clips is not None)
    if not hasattr(network, "step"):
        return
    clips = {name: torch.randn(2, *shape, dtype=torch.double) for name, shape in plan.inputs.items()}
    with torch.no_grad():
        whole = named(network(clips if len(clips) > 1 else next(iter(clips.values()))))
        brought = {name: brought_by(plan, clip) for name, clip in clips.items()}
        length = next(iter(brought.values())).shape[2]
        cuts = [0, *sorted(data.draw(st.sets(st.integers(1, length - 1)))), length]
        given, state = [], None
        for first, last in pairwise(cuts):
            piece = {name: clip[:, :, first:last] for name, clip in brought.items()}
            outputs, state = network.step(piece if len(piece) > 1 else next(iter(piece.values())), state)
            given.append(named(outputs))
    for name, want in whole.items():
        pieces = [one[name] for one in given]
        every = want.ndim > 2 and sum(piece.shape[2] for piece in pieces) == want.shape[2]
        torch.testing.assert_close(torch.cat(pieces, 2) if every else pieces[-1], want)


def brought_by(plan: archdsl.Plan, clip: Tensor) -> Tensor:
    """The frames of a clip that a stream brings: those of the one choice, where there is one."""
    for node in plan.nodes:
        if plan.one_frame and isinstance(node.op, ops.TakeEvery | ops.TakeChosen) and node.reads[0] in plan.inputs:
            op: Any = node.op
            every = (
                range(op.start, clip.shape[2], op.step) if isinstance(op, ops.TakeEvery) else op.frames(clip.shape[2])
            )
            return clip[:, :, list(every)]
    return clip


def named(outputs: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return outputs if isinstance(outputs, dict) else {"scores": outputs}


@settings(max_examples=25)
@given(nets(), st.data())
def test_pieces_give_what_the_clip_gives(arch: Arch, data: st.DataObject) -> None:
    streams_right(arch, data)


@pytest.mark.slow
@settings(max_examples=3000)
@given(nets(), st.data())
def test_pieces_of_many_nets_give_what_the_clip_gives(arch: Arch, data: st.DataObject) -> None:
    streams_right(arch, data)


@settings(max_examples=8)
@given(keyed_arches(), st.data())
def test_frames_of_key_frame_nets_give_what_the_clip_gives(arch: Arch, data: st.DataObject) -> None:
    streams_right(arch, data)


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ([Lstm(hidden=4, give="last"), Lstm(hidden=4)], "rgb.one.1.scan holds a state behind the last frame"),
        ([Lstm(hidden=4, give="last"), ConvGru(hidden=4)], "rgb.one.1.scan holds a state behind the last frame"),
        ([NewestFrame(), Gru(hidden=4)], "rgb.one.1.scan holds a state behind the last frame"),
        ([Gru(hidden=4, reverse=True)], "rgb.one.0.scan does not take each frame by itself"),
        (
            [Gru(hidden=4), GATE],
            "rgb.one.1.op1 merges all frames so far with each frame",
        ),
        ([Gru(hidden=4), Wired(wires=((4, (0,)),))], "head.pool reads frames of the past beside a clip's own"),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_what_takes_whole_clips_says_why(blocks: list[Block], why: str, causal: bool) -> None:
    pathways = {"rgb": Pathway(stages={"one": Stage(*blocks)})}
    arch = Arch(name="net", clip=Clip(frames=6, size=4), pathways=pathways, head=HEADS[2], causal=causal)
    try:
        plan = archdsl.compile(arch)
    except SpecError:
        assert causal
        return
    assert plan.whole_clips == why
    assert plan.one_frame is None
    assert f"takes whole clips only: {why}" in archdsl.table(plan)
    assert "def step" not in archdsl.emit(plan)


KEYED = Path(__file__).parent.parent / "specs" / "primer" / "13_key_frames.yaml"


@pytest.mark.parametrize("block", [Gru(hidden=4), Lstm(hidden=4), Conv(channels=4, kernel=(3, 1, 1)), None], ids=str)
def test_a_state_of_something_else_is_refused(block: Block | None) -> None:
    """Maps of one clip would spread over two, and what a state lacks would begin anew."""
    pathways = {"rgb": Pathway(stages={"one": Stage(block or Gru(hidden=2))})}
    arch = Arch(name="net", clip=Clip(frames=6, size=4), pathways=pathways, head=HEADS[0], causal=True)
    plan = archdsl.compile(arch if block else archdsl.load(KEYED))
    network: Any = archdsl.build(plan).eval()
    clip = torch.randn(2, *next(iter(plan.inputs.values())))
    _, state = network.step(clip[:, :, :4])
    network.step(clip[:, :, 4:], {name: tuple(held) for name, held in state.items()})
    for other, error, message in (
        (network.step(clip[:1, :, :4])[1], ValueError, "that of 2 clips, got 1"),
        (network.step(clip.repeat(2, 1, 1, 1, 1)[:, :, :4])[1], ValueError, "that of 2 clips, got 4"),
        ({"a": 1}, ValueError, "got another: 'a'"),
        (dict([*state.items()][:1]), ValueError, "what the last step of this network gave, got another"),
        ((clip, state), TypeError, "expected the dict that the last step gave, got tuple"),
    ):
        with pytest.raises(error, match=message):
            network.step(clip[:, :, 4:], other)


def test_pieces_of_several_clips_have_as_many_frames() -> None:
    pathways = {n: Pathway(clip=f"clip_{n}", stages={"one": Stage(Conv(channels=4, kernel=(3, 1, 1)))}) for n in "ab"}
    edges = (Edge(source="b", target="a", after=("one",), merge="sum"),)
    clips = {"clip_a": Clip(frames=4, size=4), "clip_b": Clip(frames=4, size=4)}
    head = HEADS[0].but(reads=("a",))
    network: Any = archdsl.build(
        Arch(name="net", clips=clips, pathways=pathways, edges=edges, head=head, causal=True)
    ).eval()
    pieces = {"clip_a": torch.randn(1, 3, 3, 4, 4), "clip_b": torch.randn(1, 3, 1, 4, 4)}
    with pytest.raises(ValueError, match="as many frames of each clip, got 3, 1"):
        network.step(pieces)
