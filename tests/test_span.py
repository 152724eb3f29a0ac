"""What is seen in time: by hand, and against networks that tell which frames change their features."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import blocks
from archdsl.backend import build_graph
from archdsl.cli import main
from archdsl.language import Classifier
from archdsl.ops import (
    OPS,
    AdaptiveAvgPool,
    Conv,
    FrameDifference,
    GroupNorm,
    Op,
    RepeatFrames,
    Resize,
    Shape,
    Softmax,
    Source,
    TakeEvery,
    TakeLinspace,
    TimeToChannels,
    TransposedConv,
)
from archdsl.ops.receptive_field import union
from archdsl.report.span import frames_seen, span_table, temporal_views
from archdsl.testing import graph_of
from archdsl.testing import ops as random_ops
from tests.beside import map_part


def sees(op: Op, t: int) -> list[set[int]]:
    """For each element of the result the elements it sees of t."""
    x = Shape(4, t, 8, 8)
    seen = op.sees((x,), (tuple(1 << i for i in range(t)),), op.out(x))
    return [{i for i in range(t) if mask >> i & 1} for mask in seen]


@pytest.mark.parametrize(
    ("op", "t", "want"),
    [
        (Conv(out_channels=1, kernel=(3, 1, 1)), 4, [{0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3}]),
        (Conv(out_channels=1, kernel=(3, 1, 1), stride=(4, 1, 1)), 8, [{0, 1}, {3, 4, 5}]),
        (Conv(out_channels=1, kernel=(3, 1, 1), dilation=(2, 1, 1), pad="valid"), 6, [{0, 2, 4}, {1, 3, 5}]),
        (TransposedConv(out_channels=1, kernel=(2, 1, 1), stride=(2, 1, 1)), 2, [{0}, {0}, {1}, {1}]),
        (AdaptiveAvgPool(size=(2, 1, 1)), 5, [{0, 1, 2}, {2, 3, 4}]),
        (TakeEvery(step=3, start=1), 6, [{1}, {4}]),
        (TakeLinspace(count=4), 32, [{0}, {10}, {20}, {31}]),
        (RepeatFrames(times=2), 2, [{0}, {0}, {1}, {1}]),
        (TimeToChannels(factor=2), 4, [{0, 1}, {2, 3}]),
        (FrameDifference(), 3, [{0}, {0, 1}, {1, 2}]),
        (Resize(scale=(2, 1, 1)), 2, [{0}, {0}, {1}, {1}]),
        (Resize(scale=(2, 1, 1), mode="trilinear"), 2, [{0}, {0, 1}, {0, 1}, {1}]),
    ],
)
def test_ops_along_time_by_hand(op: Op, t: int, want: list[set[int]]) -> None:
    assert sees(op, t) == want


def by_frame(gradient: Tensor, x: Shape) -> Tensor:
    """The largest of each frame; tokens without a map count as one."""
    return map_part(gradient, x).abs().amax((0, 1, 3, 4)) if x.t else gradient.abs().amax()[None]


UNSEEN = 1e-40
"""A mask of -100 leaves a share of 4e-44 in double precision, 0 in single."""
ACROSS = (GroupNorm, Softmax)
"""Their sums over time are not sight: every element would see all."""


@pytest.mark.parametrize(
    "kind",
    [kind for kind in OPS if kind not in (Source, *ACROSS) and kind.takes_ids is None],
    ids=lambda kind: kind.__name__,
)
@settings(max_examples=8)
@given(st.data())
def test_ops_see_no_more_than_is_said(kind: type[Op], data: st.DataObject) -> None:
    op, xs = data.draw(random_ops(kind))
    network = build_graph(graph_of(op, xs)).double().eval()
    maps = [torch.randn(1, *x.tensor, dtype=torch.double, requires_grad=True) for x in xs]
    y = network(maps[0] if len(maps) == 1 else {f"x{i}": x for i, x in enumerate(maps)})
    if y.ndim == 2 or not y.requires_grad:
        return
    z = op.out(*xs)
    first, seen = 0, []
    for x in xs:
        seen.append(tuple(1 << first + i for i in range(x.t or 1)))
        first += x.t or 1
    found = op.sees(xs, tuple(seen), z)
    assert len(found) == (z.t or 1)
    for i, mask in enumerate(found):
        part = map_part(y.reshape(1, *z.tensor), z)[:, :, i] if z.t else y
        gradients = torch.autograd.grad(part.sum(), maps, retain_graph=True, allow_unused=True)
        reach = [torch.zeros(x.t or 1) if g is None else by_frame(g, x) for g, x in zip(gradients, xs)]
        moved = [j for j, amount in enumerate(torch.cat(reach).tolist()) if amount > UNSEEN]
        assert not [j for j in moved if not mask >> j & 1], op


@pytest.mark.parametrize("name", ["slowfast_4x16_r50", "slowfast_tiny", "slow_4x16_r50"])
def test_no_element_sees_more_than_its_span(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    for address, masks in frames_seen(plan).items():
        axis = plan.grids[address].t
        assert len(masks) == plan.graph.shapes[address].t, address
        for mask in masks:
            assert mask.bit_length() - (mask & -mask).bit_length() + 1 <= axis.span, address


def test_frames_that_change_a_feature_are_the_frames_seen() -> None:
    """Gradients tell: an element depends on just the frames that it is said to see."""
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    network = archdsl.build(plan).double().eval()
    seen = frames_seen(plan)
    found: dict[str, Any] = {}
    for address in ("slow.res2", "fast.stem", "edges.stem.fast_to_slow"):
        network.get_submodule(address).register_forward_hook(
            lambda m, a, y, address=address: found.update({address: y})
        )
    clip = torch.randn(1, *plan.inputs["clip"], dtype=torch.double, requires_grad=True)
    network(clip)
    for address, value in found.items():
        inside = [a for a in plan.graph.nodes if a.startswith(f"{address}.")]
        for i, mask in enumerate(seen[inside[-1]]):
            (gradient,) = torch.autograd.grad(value[:, :, i].sum(), clip, retain_graph=True)
            frames = gradient.abs().amax(dim=(0, 1, 3, 4)).nonzero().flatten().tolist()
            assert sum(1 << frame for frame in frames) == mask, (address, i)


def test_a_lateral_kernel_below_its_stride_leaves_gaps() -> None:
    """alpha 8, kernel 5, padded by 2: the first window reads 3 of 32 elements, the three others 5 each."""
    laterals = [
        s for s in temporal_views(archdsl.compile(archdsl.load("slowfast_4x16_r50"))) if s.part.kind == "lateral"
    ]
    assert [s.unread for s in laterals] == [(14, 32)] * 4
    assert laterals[0].window == (5, 8)
    # A stem element sees every second frame from -4 to 4 around its own: windows reach 12 frames beyond the next start
    assert [s.unseen for s in laterals] == [3, 0, 0, 0]
    dense = [s for s in temporal_views(archdsl.compile(archdsl.load("slowfast_8x8_r50"))) if s.part.kind == "lateral"]
    assert {s.unread for s in dense} == {(0, 32)}
    assert {s.gaps for s in dense} == {""}


def test_a_stage_sees_the_frames_its_pathway_takes() -> None:
    by_address = {s.part.address: s for s in temporal_views(archdsl.compile(archdsl.load("slowfast_4x16_r50")))}
    assert by_address["slow.stem"].frames == {"clip": (4, 64)}
    assert by_address["slow.res2"].frames == {"clip": (29, 64)}
    assert by_address["fast.stem"].step == 2
    every = union(frames_seen(archdsl.compile(archdsl.load("slow_4x16_r50")))["head.scores"])
    assert every == sum(1 << i for i in range(0, 64, 16))


def test_show_span(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "slowfast_4x16_r50", "--span"]) == 0
    text = capsys.readouterr().out
    assert "kernel 5 at stride 8: 14 of 32 elements never read, 3 frames never seen" in text
    assert " 1 frame " in text
    assert " 1 frames" not in text
    assert main(["show", "slowfast_4x16_r50", "--span", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert next(row for row in rows if row["address"] == "fast.stem")["span_seconds"] == pytest.approx(0.3)


def test_laterals_of_tokens_without_a_map_have_a_span() -> None:
    table = span_table(archdsl.compile(archdsl.load("uniformer_v2_b16", frames=4, size=64)))
    assert [row.cells[0] for row in table.rows if "→" in row.cells[0]] == [
        "main → query"
    ] * 5  # four places, and the frames at the end


def test_seconds_are_those_of_the_clip_that_is_read() -> None:
    """A kernel of 3 frames taken every 2nd: 5 frames, at 25 a second 0.2 s; of a clip without a rate no seconds."""
    clips = {"rgb": archdsl.Clip(frames=8, size=8, fps=25), "slow": archdsl.Clip(frames=8, size=8, fps=5)}
    stages = {"one": archdsl.Stage(blocks.Conv(channels=4, kernel=(3, 1, 1)))}
    pathways = {
        "a": archdsl.Pathway(clip="rgb", every=2, stages=stages),
        "b": archdsl.Pathway(clip="slow", stages=stages),
    }
    arch = archdsl.Arch(name="net", clips=clips, pathways=pathways, head=Classifier(classes=2))
    cells = {row.cells[:2]: row.cells[3:6] for row in span_table(arch).rows if row.cells[0] == "one"}
    assert cells == {
        ("one", "a"): ("2 frames", "5 frames", "0.20 s"),
        ("one", "b"): ("1 frame", "3 frames", "0.60 s"),
    }
    still = arch.but(clips={name: clip.but(fps=None) for name, clip in clips.items()})
    assert {row.cells[5] for row in span_table(still).rows if row.cells[0] == "one"} == {""}
