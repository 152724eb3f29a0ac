"""Key frames: a clip frame by frame gives what the clip gives, and each op what its definition says."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend import PASSES
from archdsl.backend.runtime.keys import interleave, key_pairs, warp
from archdsl.blocks import AvgPool, Basic, Block, Bottleneck, Conv, Gray, InvertedResidual, MaxPool, Mean
from archdsl.compiler import CONVENTIONS
from archdsl.compiler.keys import whole_clips
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Dense, Detector, Edge, Localiser, Pathway, Stage, Warp
from archdsl.language.head import Head
from archdsl.ops import Shape
from archdsl.report.cost import NetworkCost
from archdsl.rewrites import with_key_frames
from archdsl.testing import check

FLOW = Pathway(
    stages={
        "pool": Stage(AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")),
        "moves": Stage(Conv(channels=4, kernel=(1, 3, 3), stride=(1, 2, 2))),
    }
)
HOSTS: list[tuple[Block, ...]] = [
    (Conv(channels=6, kernel=(1, 3, 3), stride=(1, 4, 4)),),
    (Gray(), Conv(channels=6, kernel=(1, 3, 3), stride=(1, 2, 2)), Basic(channels=8, stride=2)),
    (MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)), Bottleneck(channels=8, stride=2)),
    (InvertedResidual(channels=6, stride=2), InvertedResidual(channels=6, stride=2)),
]
HEADS: list[Head] = [
    Dense(classes=3),
    Dense(classes=3, act="softmax", enlarge=False),
    Detector(classes=3, size=2, scales=(2,), count=5, candidates=20),
]


def scheduled(host: tuple[Block, ...], head: Head, every: int, intervals: int = 2, **warp_fields: Any) -> Arch:
    """A small host with key frames; a Localiser reads a pathway behind it."""
    pathways = {"rgb": Pathway(stages={"host": Stage(*host)})}
    alone = Arch(name="small", clip=Clip(frames=every * intervals, size=16), pathways=pathways, head=head)
    return with_key_frames(alone, every=every, flow=FLOW, by=Warp(**warp_fields))


def built(arch: Arch, lower: Any = "none", dtype: torch.dtype = torch.double) -> Any:
    """The network in eval mode, with weights that matter everywhere and depend on nothing but their names."""
    network = archdsl.build(arch, lower).to(dtype).eval()
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "norm" in name else torch.randn_like(value) / 2)
    return network


def named(outputs: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return outputs if isinstance(outputs, dict) else {"scores": outputs}


def in_pieces(network: Any, clip: Tensor, cuts: list[int]) -> dict[str, Tensor]:
    """What the network gives for a clip that comes in pieces, one after the other along time."""
    given, state = [], None
    for first, last in zip([0, *cuts], [*cuts, clip.shape[2]]):
        outputs, state = network.step(clip[:, :, first:last], state)
        given.append(named(outputs))
    return {name: torch.cat([one[name] for one in given], dim=2) for name in given[0]}


@settings(max_examples=12)
@given(st.sampled_from(HOSTS), st.sampled_from(HEADS), st.integers(2, 4), st.booleans(), st.data())
def test_a_stream_gives_what_the_clip_gives(
    host: tuple[Block, ...], head: Head, every: int, scale: bool, data: st.DataObject
) -> None:
    network = built(scheduled(host, head, every, by=Fraction(5, 2), scale=scale))
    clip = torch.randn(2, 3, 2 * every, 16, 16, dtype=torch.double)
    cuts = sorted(data.draw(st.sets(st.integers(1, 2 * every - 1))))
    with torch.no_grad():
        whole, pieces = named(network(clip)), in_pieces(network, clip, cuts)
    assert whole.keys() == pieces.keys()
    for name, value in whole.items():
        torch.testing.assert_close(pieces[name], value)


def behind_the_host(every: int, intervals: int = 2) -> Arch:
    """A pathway of all frames that adds to what the host ends in, its own map of a key frame, which is held."""
    stages = {"each": Stage(Basic(channels=6), Mean(over="hw"))}
    pathways = {"rgb": Pathway(stages={"host": Stage(*HOSTS[0])}), "task": Pathway(after="rgb", stages=stages)}
    alone = Arch(name="small", clip=Clip(frames=every * intervals, size=16), pathways=pathways, head=Localiser())
    return with_key_frames(alone, every=every, flow=FLOW, pathway="rgb")


def twice(every: int) -> Arch:
    """Two hosts that choose the same frames, two flow nets that begin alike: what is equal is computed once."""
    arch = scheduled(HOSTS[0], HEADS[0], every)
    pathways = {**arch.pathways, "other": arch.pathways["rgb"], "more": arch.pathways["flow"]}
    joins = (
        Edge(source="other", target="rgb", after=("host",), merge="concat"),
        Edge(source="more", target="flow", after=("pool",), merge="sum"),
    )
    return arch.but(pathways=pathways, edges=(*joins, *arch.edges))


LOWERED = [
    *((scheduled(HOSTS[i], HEADS[0], 3), torch.float) for i in range(4)),
    (twice(3), torch.float),
    (behind_the_host(3), torch.float),
    (scheduled(HOSTS[1], HEADS[2], 3), torch.double),
]


@pytest.mark.parametrize("frozen", [False, True], ids=["lowered", "frozen"])
@pytest.mark.parametrize(("arch", "dtype"), LOWERED)
def test_lowered_streams_give_what_the_literal_clip_gives(arch: Arch, dtype: torch.dtype, frozen: bool) -> None:
    """Two clips, one after the other and then in turn: neither state is written over."""
    literal, lowered = built(arch, dtype=dtype), built(arch, "auto", dtype)
    network = archdsl.freeze(lowered) if frozen else lowered
    clips = torch.randn(2, 2, 3, 6, 16, 16, dtype=dtype)
    with torch.inference_mode():
        want = [named(literal(clip)) for clip in clips]
        near(in_pieces(network, clips[0], [1, 5]), want[0])
        near(named(network(clips[1])), want[1])
        given, states = [[], []], [None, None]
        for frame in range(6):
            for i, clip in enumerate(clips):
                outputs, states[i] = network.step(clip[:, :, frame : frame + 1], states[i])
                given[i].append(named(outputs))
        for one, whole in zip(given, want):
            near({name: torch.cat([outputs[name] for outputs in one], dim=2) for name in whole}, whole)


def near(got: dict[str, Tensor], want: dict[str, Tensor]) -> None:
    """Equal to 1e-5 of the largest element."""
    assert got.keys() == want.keys()
    assert all(float((got[name] - y).abs().max() / y.abs().max()) < 1e-5 for name, y in want.items())


@pytest.mark.parametrize("names", [*([one.name] for one in PASSES), [one.name for one in PASSES]], ids="-".join)
def test_each_pass_and_all_at_once_keep_both_programs_right(names: list[str]) -> None:
    literal, lowered = built(twice(3)), built(twice(3), names)
    clip = torch.randn(2, 3, 6, 16, 16, dtype=torch.double)
    with torch.no_grad():
        want = named(literal(clip))
        near(named(lowered(clip)), want)
        near(in_pieces(lowered, clip, [2]), want)


def test_both_programs_are_lowered() -> None:
    """Frames are laid out channels last once they are chosen; what only tells a size is left as it is."""
    source = archdsl.emit(archdsl.compile(scheduled(HOSTS[2], HEADS[0], 3)), "auto")
    assert "nn.Conv3d(" not in source
    methods = {part.partition("(")[0]: part for part in source.rpartition("class ")[2].split("    def ")}
    copies = {name: methods[name].count("memory_format") for name in ("forward", "key_frame", "current_frame")}
    assert copies == {"forward": 2, "key_frame": 1, "current_frame": 1}


def test_the_interval_is_kept() -> None:
    """The host runs on frames 0, 3, 6; the flow net on the others; a stream may end anywhere."""
    network = built(scheduled(HOSTS[0], HEADS[0], 3))
    ran: list[str] = []
    network.rgb.host.register_forward_hook(lambda *_: ran.append("key"))
    network.flow.moves.register_forward_hook(lambda *_: ran.append("current"))
    state = None
    for _ in range(8):
        _, state = network.step(torch.randn(1, 3, 1, 16, 16, dtype=torch.double), state)
    assert ran == ["key", "current", "current"] * 2 + ["key", "current"]


def test_a_frame_between_reads_its_own_key_frame_only() -> None:
    """With frame 4 changed, frame 4 changes, and frame 5 which it is the key frame of, no other."""
    network = built(scheduled(HOSTS[0], HEADS[1], 4))
    clip = torch.randn(1, 3, 8, 16, 16, dtype=torch.double)
    other = clip.clone()
    other[:, :, 4] += 1
    with torch.no_grad():
        changed = (network(clip) != network(other)).amax((0, 1, 3, 4))
    assert changed.tolist() == [False] * 4 + [True] * 4


def test_what_frames_cost_by_hand() -> None:
    """Two intervals of 3. Host: 3x3, 3 to 6 channels at 4x4. Flow net: 3x3, 6 to 4. Flow 3x3 to 2, scales 1x1 to 6."""
    plan = archdsl.compile(scheduled(HOSTS[0], Dense(classes=5), 3))
    host, head = 9 * 3 * 6 * 16, 6 * 5 * 16
    flow = (9 * 6 * 4 + 9 * 4 * 2 + 4 * 6) * 16
    each = plan.frame_costs()
    assert each == (host + head, flow + head, 3)
    assert plan.macs == 2 * host + 4 * flow + 6 * head
    assert each.mean == Fraction(plan.macs, 6) == Fraction(host + head + 2 * (flow + head), 3)
    assert plan.held == 3 * 16 * 16 + 6 * 4 * 4


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_mean_times_the_interval_is_the_clip(convention: str) -> None:
    plan = archdsl.compile(scheduled(HOSTS[2], HEADS[0], 4, intervals=1))
    each = plan.frame_costs(convention)
    assert each is not None
    assert each.mean * 4 == plan.count(convention)


def test_counts_and_tables_tell_of_it() -> None:
    plan = archdsl.compile(scheduled(HOSTS[0], HEADS[0], 3))
    each = plan.frame_costs()
    assert each is not None
    record = NetworkCost(plan).record()["stream"]
    assert (record["every"], record["key"]["macs"], record["current"]["macs"]) == (3, each.key, each.current)
    assert record["interval"]["macs"] == each.key + 2 * each.current
    assert "2,880 macs a key frame, 5,280 a frame between, 4,480 on average (1 in 3 is a key frame)" in archdsl.table(
        plan
    )


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_torch_and_yaml_agree(head: Head) -> None:
    plan = check(scheduled(HOSTS[1], head, 2, by=Fraction(5, 2)))
    assert archdsl.draw(plan)


def test_pathways_behind_the_host_see_all_frames() -> None:
    """A head per frame that reads a pathway which reads the host."""
    arch = behind_the_host(3)
    network, clip = built(arch), torch.randn(2, 3, 6, 16, 16, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(in_pieces(network, clip, [2])["scores"], network(clip))
    assert archdsl.compile(arch).outputs == {"task": (6, 6)}


def test_weights_are_those_of_the_host_and_of_the_flow_net() -> None:
    """One set of weights: the host's names are those it has without key frames."""
    arch = scheduled(HOSTS[2], HEADS[0], 3)
    plain = Arch(
        name="plain",
        clip=Clip(frames=1, size=16),
        pathways={"rgb": Pathway(stages={"host": Stage(*HOSTS[2])})},
        head=HEADS[0],
    )
    names, alone = (set(archdsl.build(one).state_dict()) for one in (arch, plain))
    assert alone < names
    assert {name.partition(".")[0] for name in names - alone} == {"flow", "edges"}


def test_scales_start_as_one() -> None:
    network: Any = archdsl.build(scheduled(HOSTS[0], HEADS[0], 2))
    scale = network.edges.host.flow_to_rgb.scale
    assert not scale.weight.any()
    assert bool((scale.bias == 1).all())


def test_a_network_that_sees_several_frames_has_no_step() -> None:
    arch = scheduled(HOSTS[0], Classifier(classes=5), 2)
    plan = archdsl.compile(arch)
    assert plan.schedule is None
    assert plan.frame_costs() is None
    assert "def step" not in archdsl.emit(plan)
    deep = scheduled((Conv(channels=6, kernel=(3, 3, 3), stride=(1, 4, 4)),), HEADS[0], 2)
    assert archdsl.compile(deep).schedule is None


def test_a_second_flow_is_refused() -> None:
    with pytest.raises(SpecError, match="a second pathway named 'flow'"):
        with_key_frames(scheduled(HOSTS[0], HEADS[0], 2), every=2, flow=FLOW, pathway="rgb")


# The ops, against their definitions


def defined_warp(x: Tensor, flow: Tensor) -> Tensor:
    """arXiv:1611.07715, equations 3 and 4, sample by sample."""
    y = torch.zeros_like(x)
    n, _, t, h, w = x.shape
    for b, f, i, j in ((b, f, i, j) for b in range(n) for f in range(t) for i in range(h) for j in range(w)):
        across, down = j + float(flow[b, 0, f, i, j]), i + float(flow[b, 1, f, i, j])
        for p in range(max(floor(down), 0), min(floor(down) + 2, h)):
            for q in range(max(floor(across), 0), min(floor(across) + 2, w)):
                share = max(0.0, 1 - abs(p - down)) * max(0.0, 1 - abs(q - across))
                y[b, :, f, i, j] += share * x[b, :, f, p, q]
    return y


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.3, 2.0]))
def test_a_warp_is_its_definition(h: int, w: int, far: float) -> None:
    torch.manual_seed(h * w)
    x = torch.randn(2, 3, 2, h, w, dtype=torch.double)
    flow = far * torch.randn(2, 2, 2, h, w, dtype=torch.double)
    torch.testing.assert_close(warp(x, flow), defined_warp(x, flow), atol=1e-12, rtol=0)


def test_a_warp_is_mxnets() -> None:
    """GridGenerator(warp) divides by (w - 1) / 2, BilinearSampler reads with -1 and 1 in the middles of corners."""
    torch.manual_seed(0)
    x, flow = torch.randn(2, 3, 1, 6, 7, dtype=torch.double), 2 * torch.randn(2, 2, 1, 6, 7, dtype=torch.double)
    across = (flow[:, 0, 0] + torch.arange(7)) / ((7 - 1) / 2) - 1
    down = (flow[:, 1, 0] + torch.arange(6)[:, None]) / ((6 - 1) / 2) - 1
    want = F.grid_sample(x[:, :, 0], torch.stack([across, down], -1), align_corners=True)
    torch.testing.assert_close(warp(x, flow)[:, :, 0], want, atol=1e-12, rtol=0)


def test_a_whole_step_moves_the_map() -> None:
    """Flow (1, 0) everywhere reads one to the right; beyond the border is 0."""
    x = torch.arange(6.0).reshape(1, 1, 1, 2, 3)
    flow = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1, 1).expand(1, 2, 1, 2, 3)
    torch.testing.assert_close(warp(x, flow).flatten(), torch.tensor([1.0, 2, 0, 4, 5, 0]))


def test_gradients_reach_map_and_flow() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 1, 4, 5, dtype=torch.double, requires_grad=True)
    flow = (torch.randn(1, 2, 1, 4, 5, dtype=torch.double) * 0.7).requires_grad_()
    assert torch.autograd.gradcheck(warp, (x, flow))


def test_pairs_by_hand() -> None:
    frames = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    got = key_pairs(frames, 3)
    assert got.flatten(2)[0].tolist() == [[1, 2, 4, 5], [0, 0, 3, 3]]
    assert ops.KeyPairs(every=3).out(Shape(1, 6, 1, 1)) == got.shape[1:]


def test_order_by_hand() -> None:
    keys, current = torch.tensor([0.0, 3]), torch.tensor([1.0, 2, 4, 5])
    got = interleave(keys.reshape(1, 1, 2, 1, 1), current.reshape(1, 1, 4, 1, 1))
    assert got.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_grids_of_frames_that_are_parted_and_put_in_order() -> None:
    plan = archdsl.compile(scheduled(HOSTS[0], HEADS[0], 4))
    assert plan.grids["flow.frames"].t == (Fraction(4, 3), 1, 4)
    assert plan.grids["edges.host.flow_to_rgb.merge"].t == (1, 0, 4)


def test_costs_of_a_warp() -> None:
    cost = ops.Warp().cost(Shape(3, 2, 5, 7), Shape(2, 2, 5, 7))
    assert (cost.macs, cost.fvcore_extra) == (0, 4 * 3 * 2 * 5 * 7)


@pytest.mark.parametrize(
    ("op", "xs", "what"),
    [
        (ops.KeyPairs(every=1), (Shape(3, 4, 2, 2),), "key-frame interval below 2"),
        (ops.KeyPairs(every=3), (Shape(3, 4, 2, 2),), "frames not divisible by the key-frame interval"),
        (ops.HoldKeys(), (Shape(3, 2, 2, 2), Shape(4, 5, 2, 2)), "current frames not divisible by key frames"),
        (ops.Warp(), (Shape(3, 2, 2, 2), Shape(3, 2, 2, 2)), "wrong shape of the flow"),
        (ops.Interleave(), (Shape(3, 2, 2, 2), Shape(3, 4, 2, 3)), "key frames and current frames that differ"),
        (ops.CropTo(), (Shape(3, 2, 2, 2), Shape(3, 2, 2, 3)), "a crop larger than the map"),
    ],
)
def test_what_ops_refuse(op: ops.Op, xs: tuple[Shape, ...], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        op.out(*xs)


def test_edges_interleave_equal_intervals_only() -> None:
    arch = scheduled(HOSTS[0], HEADS[0], 4)
    wrong = {**arch.pathways, "flow": arch.pathways["flow"].but(pairs=2)}
    with pytest.raises(SpecError, match="key frames and the frames between have different intervals"):
        arch.but(pathways=wrong)
    edge: Edge = arch.edges[0]
    assert edge.merge == "interleave"


def test_key_frames_are_those_from_the_first_on() -> None:
    """Another start is refused where frames are put in order; elsewhere such frames are no key frames."""
    arch = scheduled(HOSTS[0], HEADS[0], 4)
    edge: Edge = arch.edges[0]
    key = next(name for name, pathway in arch.pathways.items() if pathway.every)
    with pytest.raises(SpecError, match="every 4 from 1 for"):
        arch.but(pathways={**arch.pathways, key: arch.pathways[key].but(start=1)})
    host = arch.pathways[key]
    last = list(host.stages)[-1]
    for start in (0, 1):
        late = host.but(start=start)
        more = Edge(source="late", target=key, after=last, transform=[], merge="sum")
        plan = archdsl.compile(arch.but(pathways={**arch.pathways, "late": late}, edges=[more, edge]))
        assert (plan.schedule is None) == (start == 1)
        assert ("def step" in archdsl.emit(plan)) == (start == 0)


def test_why_key_frames_are_no_stream_is_said() -> None:
    deep = scheduled((Conv(channels=6, kernel=(3, 3, 3), stride=(1, 4, 4)),), HEADS[0], 2)
    assert "sees more than one frame" in (whole_clips(archdsl.compile(deep).graph) or "")
    assert whole_clips(archdsl.compile(scheduled(HOSTS[0], HEADS[0], 2)).graph) is None
