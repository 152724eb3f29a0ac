"""TAL-Net: how far its towers see, its costs by hand, and its proposals and pools against plain loops."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, exp, floor

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend.runtime.regions.soi import segment_proposals, soi_pool
from archdsl.blocks import Conv, SegmentTower
from archdsl.blocks.base import add_block
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language import Arch, Clip, Pathway, SegmentDetector, Stage
from archdsl.ops import UNIT, Grid, Shape

SCALES = (1, 2, 3, 4, 5, 6, 8, 11, 16)


def tower(scale: int, context: bool = False) -> Builder:
    """A tower over a sequence, written out."""
    g = Builder()
    x = g.source("x", Shape(8, 64, 1, 1), Grid(UNIT, UNIT, UNIT))
    add_block(g, "tower", SegmentTower(scale=scale, channels=4, context=context), x)
    return g


@pytest.mark.parametrize("scale", [6, 12, 18])
@pytest.mark.parametrize("context", [False, True])
def test_a_towers_kernels_see_one_segment_or_with_context_two(scale: int, context: bool) -> None:
    g = tower(scale, context)
    reach = [2 * node.op.dilation[0] for node in g.nodes.values() if isinstance(node.op, ops.Conv)]
    assert 1 + sum(reach) == 1 + scale * (2 if context else 1)


@pytest.mark.parametrize("scale", SCALES)
def test_a_tower_looks_equally_far_both_ways_and_keeps_the_length(scale: int) -> None:
    g = tower(scale)
    (last,) = set(g.nodes) - {read for node in g.nodes.values() for read in node.reads}
    assert (g.shape(last), g.grid(last).t.start) == (Shape(4, 64, 1, 1), 0)
    window = ceil(scale / 6)
    assert g.grid(last).t.span == 1 + 2 * ceil(scale / 6) + 2 * ceil(scale / 3) + 2 * (window - 1)


def test_costs_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("tal_net_rgb"))
    one_tower = (1024 * 256 * 3 + 256) + (256 * 256 * 3 + 256) + (256 * 4 + 4)
    second = (7168 * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 * 21 + 21) + (1024 * 40 + 40)
    assert plan.params == 9 * one_tower + second == 17_314_401
    first = 9 * 256 * (1024 * 256 * 3 + 256 * 256 * 3 + 256 * 4)
    assert plan.macs == first + 300 * (7168 * 1024 + 1024 * 1024 + 1024 * 61) == 4_802_605_056


def test_two_streams_have_two_sets_of_weights_and_one_of_proposals() -> None:
    both, one = (archdsl.compile(archdsl.load(name)) for name in ("tal_net", "tal_net_flow"))
    assert (both.params, both.macs) == (2 * one.params, 2 * one.macs)
    assert sum(isinstance(node.op, ops.SegmentProposals) for node in both.nodes) == 1
    assert both.outputs == {"anchors": (36, 256), "proposals": (2, 300), "scores": (21, 300), "ends": (40, 300)}


def test_late_fusion_is_the_mean_of_both() -> None:
    torch.manual_seed(0)
    both = archdsl.build(archdsl.load("tal_net", frames=12)).eval()
    one = archdsl.build(archdsl.load("tal_net_rgb", frames=12)).eval()
    clips = {name: torch.randn(2, 1024, 12, 1, 1) for name in ("rgb_features", "flow_features")}
    alone = []
    for stream in ("rgb", "flow"):
        own = {k.replace(f"_{stream}.", "_rgb."): v for k, v in both.state_dict().items() if f"_{stream}." in k}
        one.load_state_dict(own)
        alone.append(one(clips[f"{stream}_features"]))
    torch.testing.assert_close(both(clips)["anchors"], (alone[0]["anchors"] + alone[1]["anchors"]) / 2)


def test_every_layer_learns_and_proposals_do_not() -> None:
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("tal_net", frames=12))
    clips = {name: torch.randn(2, 1024, 12, 1, 1) for name in ("rgb_features", "flow_features")}
    found = network(clips)
    assert not found["proposals"].requires_grad
    sum(found[name].square().sum() for name in ("anchors", "scores", "ends")).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_any_backbone_may_carry_the_head() -> None:
    stages = {"res1": Stage(Conv(channels=8, kernel=(3, 3, 3), stride=(2, 2, 2)))}
    head = SegmentDetector(classes=3, scales=(1, 2), channels=8, top=5, hidden=(16,), dropout=0.5)
    arch = Arch(name="video", clip=Clip(frames=16, size=16), pathways={"main": Pathway(stages=stages)}, head=head)
    scores = archdsl.build(arch)(torch.randn(2, 3, 16, 16, 16))["scores"]
    assert (scores.shape, arch.classes) == ((2, 4, 5), 3)


def defined_proposals(x: Tensor, scales: tuple[int, ...], top: int, overlap: float) -> list[tuple[float, float]]:
    """One clip's proposals (4 k, t), segment by segment."""
    length = x.shape[1]
    found = []
    for i, scale in enumerate(scales):
        for position in range(length):
            nothing, action, shift, growth = x[4 * i : 4 * i + 4, position].tolist()
            middle, half = position + 0.5 + shift * scale, scale * exp(growth) / 2
            start, end = (min(max(place, 0.0), float(length)) for place in (middle - half, middle + half))
            if end > start:
                found.append((action - nothing, start, end))
    kept: list[tuple[float, float]] = []
    for _, start, end in sorted(found, reverse=True):
        common = [max(0.0, min(end, b) - max(start, a)) for a, b in kept]
        if all(c <= overlap * (end - start + b - a - c) for c, (a, b) in zip(common, kept)):
            kept.append((start, end))
    return (kept + [(0.0, 0.0)] * top)[:top]


@settings(deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.sampled_from([0.2, 0.7, 1.0]),
    st.integers(0, 999),
)
def test_proposals_are_those_defined(t: int, scales: list[int], overlap: float, seed: int) -> None:
    x = torch.randn(2, 4 * len(scales), t, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = segment_proposals(x, tuple(scales), 6, overlap)
    want = [defined_proposals(one[..., 0, 0], tuple(scales), 6, overlap) for one in x]
    torch.testing.assert_close(found[..., 0, 0], torch.tensor(want, dtype=torch.float64).transpose(1, 2))


def defined_pool(x: Tensor, start: float, end: float, bins: int, extend: float) -> Tensor:
    """One segment's parts (c, bins) of a sequence (c, t), element by element."""
    t, more = x.shape[1], extend * (end - start)
    first, last = (min(max(place, 0.0), float(t)) for place in (start - more, end + more))
    if last <= first:
        return torch.zeros(x.shape[0], bins, dtype=x.dtype)
    edges = [first + (last - first) * i / bins for i in range(bins + 1)]
    parts = [(min(floor(a), t - 1), max(ceil(b), min(floor(a), t - 1) + 1)) for a, b in pairwise(edges)]
    return torch.stack([x[:, a:b].amax(1) for a, b in parts], 1)


@settings(deadline=None)
@given(st.integers(1, 17), st.integers(1, 7), st.sampled_from([0.0, 0.5]), st.integers(0, 999))
@example(1, 7, 0.5, 811)  # the last edge is rounded to more than the end
def test_pooled_segments_are_those_defined(t: int, bins: int, extend: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, t, 1, 1, generator=draw, dtype=torch.float64)
    segments = (torch.rand(2, 2, 4, 1, 1, generator=draw, dtype=torch.float64) * t).sort(dim=1).values
    segments[:, :, 3] = 0  # one that only fills up
    found = soi_pool(x, segments, bins, extend, t.bit_length() - 1)[..., 0]
    for i in range(2):
        for k in range(4):
            start, end = segments[i, :, k, 0, 0].tolist()
            want = defined_pool(x[i, :, :, 0, 0], start, end, bins, extend)
            torch.testing.assert_close(found[i, :, k], want, rtol=0, atol=0)


def test_proposals_by_hand() -> None:
    """Lengths 2 at four positions: 0 is the best, 1 overlaps it by a third, 2 and 3 overlap by a third and by none."""
    x = torch.zeros(1, 4, 4, 1, 1)
    x[0, 1, :, 0, 0] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    kept = segment_proposals(x, (2,), 4, 0.3)[0, :, :, 0, 0].T.tolist()
    assert kept == [[0, 1.5], [1.5, 3.5], [0, 0], [0, 0]]
    assert segment_proposals(x, (2,), 4, 0.7)[0, 1, :, 0, 0].tolist() == [1.5, 2.5, 3.5, 4]


def test_pooled_by_hand() -> None:
    x = torch.arange(8.0)[None, None, :, None, None]
    segments = torch.tensor([[2.0, 6.0], [2.0, 4.0]])[..., None, None][None].transpose(1, 2)
    assert soi_pool(x, segments, 2, 0.0, 3)[0, 0, :, :, 0].tolist() == [[3, 5], [2, 3]]
    assert soi_pool(x, segments, 2, 0.5, 3)[0, 0, :, :, 0].tolist() == [[3, 7], [2, 4]]


@pytest.mark.parametrize(
    ("op", "xs", "what"),
    [
        (ops.SegmentProposals(scales=(2,)), (Shape(4, 8, 2, 2),), "proposals of a map with height and width"),
        (ops.SegmentProposals(scales=(2, 3)), (Shape(4, 8, 1, 1),), "wrong number of channels for the scales"),
        (ops.SegmentProposals(scales=()), (Shape(4, 8, 1, 1),), "segment length below 1"),
        (ops.SegmentProposals(scales=(2,), top=0), (Shape(4, 8, 1, 1),), "number of proposals below 1"),
        (ops.SegmentProposals(scales=(2,), overlap=0.0), (Shape(4, 8, 1, 1),), "`overlap` out of range"),
        (ops.SoiPool(), (Shape(4, 8, 2, 2), Shape(2, 3, 1, 1)), "segments of a map with height and width"),
        (ops.SoiPool(), (Shape(4, 8, 1, 1), Shape(4, 3, 1, 1)), "wrong shape of the segments"),
        (ops.SoiPool(bins=0), (Shape(4, 8, 1, 1), Shape(2, 3, 1, 1)), "`bins` below 1"),
    ],
)
def test_what_cannot_be_segments(op: ops.Op, xs: tuple[Shape, ...], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        op.out(*xs)
