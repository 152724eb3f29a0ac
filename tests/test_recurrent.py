"""Recurrence over time: torch's own LSTM and GRU, plain equations, costs by hand, streams, marks and reversed scans."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.blocks import (
    Block,
    Branches,
    Conv,
    ConvGru,
    ConvLstm,
    GlobalPool,
    Gru,
    GruScan,
    Lstm,
    LstmScan,
    MaxPool,
    NewestFrame,
    Norm,
)
from archdsl.blocks.base import add_block
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.language import Arch, Classifier, Clip, Consensus, Pathway, Stage
from archdsl.ops import UNIT, Grid, Shape
from archdsl.rewrites import causal
from archdsl.testing import graph_of
from archdsl.testing.conformance import check

GRID = Grid(UNIT, UNIT, UNIT)
CELLS = {"lstm": (Lstm, nn.LSTM), "gru": (Gru, nn.GRU)}


def module_of(block: Block, x: Shape) -> Any:
    """One block as a torch module, in double."""
    torch.manual_seed(0)
    g = Builder()
    g.outputs["y"] = add_block(g, "block", block, g.source("x", x, GRID))
    return build_graph(g.finish()).double().eval()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


def copied(module: Any, cell: nn.RNNBase) -> None:
    """torch's weights into ours: rows of the gates lie in the same order."""
    ours = dict(module.named_parameters())
    theirs = {"terms": "ih", "scan": "hh"}
    for name, parameter in ours.items():
        _, part, kind = name.split(".")
        parameter.data.copy_(getattr(cell, f"{kind}_{theirs[part]}_l0").detach().reshape(parameter.shape))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("biases", [0, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_one_position_is_torchs_own(name: str, biases: Any, reverse: bool) -> None:
    kind, theirs = CELLS[name]
    fields = {"reset": "after"} if kind is Gru else {}
    module = module_of(kind(hidden=5, biases=biases, reverse=reverse, **fields), Shape(7, 6, 1, 1))
    cell = theirs(7, 5, bias=biases > 0, batch_first=True).double()
    copied(module, cell)
    x = random(3, 6, 7)
    want, _ = cell(x.flip(1) if reverse else x)
    got = module(x.transpose(1, 2)[..., None, None])[..., 0, 0].transpose(1, 2)
    torch.testing.assert_close(got, want.flip(1) if reverse else want, rtol=0, atol=1e-12)


def test_one_bias_a_gate_is_the_sum_of_torchs_two() -> None:
    module = module_of(Lstm(hidden=5), Shape(7, 6, 1, 1))
    cell = nn.LSTM(7, 5, batch_first=True).double()
    one, two = cell.bias_ih_l0.detach(), cell.bias_hh_l0.detach()
    cell.bias_ih_l0.data.copy_(one + two)
    cell.bias_hh_l0.data.zero_()
    copied(module, cell)
    x = random(3, 6, 7)
    got = module(x.transpose(1, 2)[..., None, None])[..., 0, 0].transpose(1, 2)
    torch.testing.assert_close(got, cell(x)[0], rtol=0, atol=1e-12)


def parts(module: Any, gates: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(kernel over the map, kernel over the state, bias) of each gate."""
    weights = dict(module.named_parameters())
    terms, scan = weights["block.terms.weight"][:, :, 0], weights["block.scan.weight"]
    bias = weights.get("block.terms.bias", terms.new_zeros(len(terms)))
    return list(zip(terms.chunk(gates), scan.chunk(gates), bias.chunk(gates)))


def gate(x: Tensor, h: Tensor, part: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """W * x + U * h + b."""
    pad = part[0].shape[-1] // 2
    return F.conv2d(x, part[0], part[2], padding=pad) + F.conv2d(h, part[1], padding=pad)


@pytest.mark.parametrize("biases", [0, 1])
def test_a_convolutional_gru_solves_gru_rcns_equations(biases: Any) -> None:
    """arXiv:1511.06432, equations 5 to 8, with z and 1 - z exchanged."""
    module, x = module_of(ConvGru(hidden=4, biases=biases), Shape(3, 5, 6, 7)), random(2, 3, 5, 6, 7)
    r_of, z_of, n_of = parts(module, 3)
    h, want = random(2, 4, 6, 7) * 0, []
    for frame in x.unbind(2):
        r, z = torch.sigmoid(gate(frame, h, r_of)), torch.sigmoid(gate(frame, h, z_of))
        h = z * h + (1 - z) * torch.tanh(gate(frame, r * h, n_of))
        want.append(h)
    torch.testing.assert_close(module(x), torch.stack(want, 2), rtol=0, atol=1e-12)


def test_a_convolutional_lstm_solves_its_equations() -> None:
    module, x = module_of(ConvLstm(hidden=4), Shape(3, 5, 6, 7)), random(2, 3, 5, 6, 7)
    i_of, f_of, g_of, o_of = parts(module, 4)
    h = c = random(2, 4, 6, 7) * 0
    want = []
    for frame in x.unbind(2):
        i, f, o = (torch.sigmoid(gate(frame, h, part)) for part in (i_of, f_of, o_of))
        c = f * c + i * torch.tanh(gate(frame, h, g_of))
        h = o * torch.tanh(c)
        want.append(h)
    torch.testing.assert_close(module(x), torch.stack(want, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("block", [ConvGru(hidden=4), ConvLstm(hidden=4), Gru(hidden=4, reset="after", biases=2)])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_state_is_that_after_the_last_step(block: Any, reverse: bool) -> None:
    x = random(2, 3, 5, 4, 4)
    states = module_of(block.but(reverse=reverse), Shape(3, 5, 4, 4))(x)
    last = module_of(block.but(reverse=reverse, give="last"), Shape(3, 5, 4, 4))(x)
    assert torch.equal(last, states[:, :, :1] if reverse else states[:, :, -1:])


@pytest.mark.parametrize("block", [ConvGru(hidden=4), ConvLstm(hidden=4), Gru(hidden=4, reset="after", biases=2)])
def test_gradients_flow_through_all_steps(block: Any) -> None:
    module, x = module_of(block.but(give="last"), Shape(3, 4, 4, 4)), random(1, 3, 4, 4, 4).requires_grad_()
    module(x).square().sum().backward()
    assert x.grad is not None
    assert all(float(x.grad[:, :, i].abs().max()) > 0 for i in range(4))
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def marked(op: ops.Scan, terms: Shape) -> Any:
    """A scan that reads marks."""
    torch.manual_seed(0)
    return build_graph(graph_of(op, (terms, Shape(1, terms.t, 1, 1)))).double().eval()


@pytest.mark.parametrize("op", [ops.LstmScan(kernel=3), ops.GruScan(bias=True)])
def test_a_mark_of_0_begins_anew(op: ops.Scan) -> None:
    terms = Shape(12, 6, 4, 4)
    module, x, marks = marked(op, terms), random(2, *terms), torch.ones(2, 1, 6, 1, 1).double()
    plain = build_graph(graph_of(op, (terms._replace(t=3),))).double()
    plain.load_state_dict(module.state_dict())
    marks[:, :, 3] = 0
    y = module({"x0": x, "x1": marks})
    torch.testing.assert_close(y, torch.cat([plain(x[:, :, :3]), plain(x[:, :, 3:])], dim=2))


def test_marks_in_between_weigh_the_state() -> None:
    terms = Shape(3, 2, 1, 1)
    module = marked(ops.GruScan(), terms)
    x, marks = random(1, *terms), torch.tensor([1.0, 0.5]).double().reshape(1, 1, 2, 1, 1)
    first, second = module({"x0": x, "x1": marks}).flatten()
    w = [float(value) for value in module.state_dict()["op.weight"].flatten()]
    r, z = (torch.sigmoid(x[0, i, 1] + w[i] * first / 2) for i in (0, 1))
    n = torch.tanh(x[0, 2, 1] + w[2] * r * first / 2)
    torch.testing.assert_close(second, ((1 - z) * n + z * first / 2).flatten()[0])


# Costs by hand


def test_lrcns_lstm_by_hand() -> None:
    g = Builder()
    y = add_block(g, "lstm", Lstm(hidden=256), g.source("x", Shape(4096, 16, 1, 1), GRID))
    costs = [node.op.cost(*(g.shapes[read] for read in node.reads)) for node in g.nodes.values() if node.reads]
    assert g.shape(y) == (256, 16, 1, 1)
    assert sum(cost.params for cost in costs) == 4 * (4096 * 256 + 256**2) + 4 * 256 == 4_457_472
    assert sum(cost.macs for cost in costs) == 16 * 4 * (4096 * 256 + 256**2)
    scan = g.nodes["lstm.scan"].op
    assert isinstance(scan, ops.LstmScan)
    assert scan.held(g.shapes["lstm.terms"]) == 2 * 256


def test_the_first_level_of_gru_rcn_by_hand() -> None:
    """pool2 of VGG: 56x56, 128 channels, 64 in the state; 3 k^2 (C h + h^2)."""
    g = Builder()
    add_block(g, "gru", ConvGru(hidden=64, biases=0), g.source("x", Shape(128, 10, 56, 56), GRID))
    costs = [node.op.cost(*(g.shapes[read] for read in node.reads)) for node in g.nodes.values() if node.reads]
    assert sum(cost.params for cost in costs) == 27 * (128 * 64 + 64**2) == 331_776
    assert sum(cost.macs for cost in costs) == 331_776 * 10 * 56 * 56
    scan = g.nodes["gru.scan"].op
    assert isinstance(scan, ops.GruScan)
    assert scan.held(g.shapes["gru.terms"]) == 64 * 56 * 56


def test_states_see_every_frame_and_farther_with_every_step() -> None:
    grid = ops.LstmScan(kernel=3).place((Shape(4, 8, 9, 9),), (GRID,))
    assert [int(axis.span) for axis in grid[:3]] == [8, 15, 15]
    again = ops.GruScan().place((Shape(3, 8, 9, 9),), (grid,))
    assert again == grid, "a scan of a scan sees the same frames"


# Refusals


@pytest.mark.parametrize(
    ("op", "shapes", "what"),
    [
        (ops.LstmScan(kernel=2), [Shape(8, 3, 4, 4)], "even kernel over the recurrent state"),
        (ops.GruScan(), [Shape(8, 3, 4, 4)], "channels not divisible by gates"),
        (ops.GruScan(), [Shape(6, 3, 4, 4), Shape(1, 2, 1, 1)], "wrong shape of `marks`"),
    ],
)
def test_what_cannot_be_scanned_is_said(op: Any, shapes: list[Shape], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        op.out(*shapes)


def test_marks_of_no_clip_are_told_where_they_are_asked_for() -> None:
    g = Builder()
    assert add_block(g, "lstm", Lstm(hidden=2, marks="begin"), g.source("x", Shape(3, 4, 1, 1), GRID)) == UNKNOWN
    assert [(fault.what, fault.at, fault.want) for fault in g.faults] == [("no clip 'begin'", "lstm", "x")]


def test_a_scan_reads_one_map_or_two() -> None:
    g = Builder()
    x = g.source("x", Shape(4, 3, 1, 1), GRID)
    assert g.add("scan", ops.LstmScan(), x, x, x) == UNKNOWN
    assert (g.faults[0].got, g.faults[0].want) == ("3", "1 or 2")


def test_a_reversed_scan_is_not_causal() -> None:
    assert ops.GruScan().causal(Shape(3, 4, 1, 1)) == (ops.GruScan(),)
    with pytest.raises(SpecError, match="GruScan may see later frames"):
        ops.GruScan(reverse=True).causal(Shape(3, 4, 1, 1))


# Networks


def arch_of(*blocks: Block, head: Any = None, frames: int = 6, **fields: Any) -> Arch:
    """A small network of these blocks."""
    stages = {f"stage{i}": Stage(block) for i, block in enumerate(blocks)}
    given = {"clip": Clip(frames=frames, size=8), "head": head or Classifier(classes=5, pool="none", act="softmax")}
    return Arch(**{"name": "small", "pathways": {"rgb": Pathway(clip=None, stages=stages)}, **given, **fields})


EACH = [Conv(channels=4, kernel=(1, 3, 3)), MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2))]
SCANS = [
    ConvGru(hidden=3),
    ConvLstm(hidden=3, biases=2),
    Lstm(hidden=4, biases=0),
    Gru(hidden=2, reset="after", biases=2),
]
HEADS = [Consensus(classes=5, over="each"), Classifier(classes=5, pool="none", act="softmax"), Classifier(classes=5)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([*EACH, *SCANS]), max_size=2),
    st.sampled_from(SCANS),
    st.sampled_from(HEADS),
    st.sets(st.integers(1, 5)),
)
def test_pieces_of_a_clip_give_what_the_clip_gives(before: list[Block], scan: Block, head: Any, at: set[int]) -> None:
    torch.manual_seed(0)
    plan = archdsl.compile(causal(arch_of(*before, scan, head=head)))
    network: Any = archdsl.build(plan).double().eval()
    clip, cuts, state, given = random(2, 3, 6, 8, 8), [*sorted(at), 6], None, []
    with torch.no_grad():
        for first, last in zip([0, *cuts], cuts):
            scores, state = network.step(clip[:, :, first:last], state)
            given.append(scores)
            whole = network(clip[:, :, :last])
            torch.testing.assert_close(scores, whole if whole.ndim == 2 else whole[..., first:last])
    assert state is not None
    kept = sum(part[0].numel() for parts in state.values() for part in parts if part.ndim == 5 or part.ndim == 4)
    assert kept == plan.held


def test_a_net_that_ends_in_its_last_state_streams_without_being_causal() -> None:
    plan = archdsl.compile(arch_of(EACH[0], ConvGru(hidden=3, give="last"), head=Classifier(classes=5)))
    assert (plan.held, plan.one_frame is not None) == (3 * 8 * 8, True)
    assert archdsl.compile(arch_of(Lstm(hidden=3, reverse=True))).one_frame is None


def test_every_frame_has_its_scores() -> None:
    arch = arch_of(GlobalPool(), Lstm(hidden=3), head=Consensus(classes=5, over="each"), frames=1)
    assert archdsl.compile(arch).outputs == {"scores": (5, 1)}
    check(arch_of(Conv(channels=4), Lstm(hidden=3), head=Consensus(classes=5, over="each")))


MARKED = """
name: marked
clips:
  rgb: {frames: 6, size: 8}
  begin: {modality: features, channels: 1, frames: 6, size: 1}
pathways:
  main:
    clip: rgb
    stages:
      stem: {conv: {channels: 4, kernel: [1, 3, 3]}}
      lstm: {conv_lstm: {hidden: 4, marks: begin}}
      gru: [{gru: {hidden: 4, reset: after, biases: 2}}, {max_pool: {kernel: [1, 2, 2], stride: [1, 2, 2]}}]
head: {consensus: {classes: 5, over: each}}
"""


def test_yaml_knows_them_and_marks_stream_too(tmp_path: Any) -> None:
    (tmp_path / "marked.yaml").write_text(MARKED)
    arch = archdsl.load(str(tmp_path / "marked.yaml"))
    check(arch)
    torch.manual_seed(0)
    network: Any = archdsl.build(arch).double().eval()
    clips = {"rgb": random(2, 3, 6, 8, 8), "begin": torch.ones(2, 1, 6, 1, 1).double()}
    clips["begin"][0, :, 4] = 0
    state, given = None, []
    with torch.no_grad():
        for i in range(6):
            scores, state = network.step({name: clip[:, :, i : i + 1] for name, clip in clips.items()}, state)
            given.append(scores)
        torch.testing.assert_close(torch.cat(given, dim=2), network(clips))


def test_both_directions_side_by_side() -> None:
    """A branch that reads backwards gives its last state at the first frame."""
    both = Branches(branches={"ahead": ConvGru(hidden=3), "back": ConvGru(hidden=3, reverse=True)})
    check(arch_of(EACH[0], both))
    ends = Branches(
        branches={"ahead": ConvGru(hidden=3, give="last"), "back": Gru(hidden=3, reverse=True, give="last")}
    )
    plan = archdsl.compile(arch_of(EACH[0], ends))
    assert plan.shapes["rgb.stage1"] == (6, 1, 8, 8)
    assert not plan.warnings


def test_a_scan_by_itself_is_the_block_without_its_terms() -> None:
    terms = Conv(channels=9, kernel=(1, 3, 3), norm=Norm(kind="none"), act="none", bias=False, init="default")
    parted = archdsl.compile(arch_of(terms, GruScan(kernel=3), NewestFrame()))
    whole = archdsl.compile(arch_of(ConvGru(hidden=3, biases=0, give="last")))
    assert (parted.params, parted.macs) == (whole.params, whole.macs)
    assert archdsl.compile(arch_of(terms.but(channels=8), LstmScan())).shapes["rgb.stage1"].c == 2


@pytest.mark.parametrize(
    "odd", [{"terms": Shape(33, 5, 1, 1)}, {"terms": Shape(32, 5, 2, 1)}, {"state": Shape(15, 1, 1, 1)}]
)
def test_terms_and_a_state_that_do_not_match_are_refused(odd: dict[str, Shape]) -> None:
    """Of 8 channels of a state and as many of a cell, and 4 times as many terms."""
    xs = {"terms": Shape(32, 5, 1, 1), "state": Shape(16, 1, 1, 1), "keys": Shape(6, 1, 4, 4), "of": Shape(7, 1, 4, 4)}
    assert ops.AttendScan().out(*xs.values()) == Shape(8 + 7, 5, 1, 1)
    with pytest.raises(SpecError, match="do not match"):
        ops.AttendScan().out(*(xs | odd).values())
