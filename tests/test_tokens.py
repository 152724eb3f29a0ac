"""Tokens beside a map: their shape, which ops pass them, and that these treat them as they treat positions."""

from __future__ import annotations

import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.errors import SpecError
from archdsl.ops import OPS, Op, Shape
from archdsl.report.number_format import shape_text
from archdsl.testing import graph_of
from archdsl.testing import ops as random_ops

SAY_HOW = ("clip_memory", "tokens", "frame_rows", "positions", "rotary", "attention", "relative_attention", "masks")
"""Files of ops that treat tokens in a way of their own."""
PASSING = [kind for kind in OPS if kind.passes_extra and kind.__module__.rpartition(".")[2] not in SAY_HOW]


def test_a_shape_without_extra_tokens_is_a_map() -> None:
    x = Shape(768, 8, 14, 14)
    assert x == (768, 8, 14, 14)
    assert len(x) == 4
    assert (x.extra, x.positions, x.elements, x.tensor) == (0, 1568, 1568 * 768, (768, 8, 14, 14))
    assert str(x) == "(768, 8, 14, 14)"


def test_extra_tokens_stand_in_front_of_the_map() -> None:
    x = Shape(768, 8, 14, 14, extra=1)
    c, *rest = x
    assert (c, Shape(3072, *rest)) == (768, Shape(3072, 8, 14, 14, 1))
    assert (x.positions, x.elements, x.tensor) == (1569, 1569 * 768, (768, 1, 1, 1569))
    assert x._replace(t=4) == Shape(768, 4, 14, 14, 1)
    assert x._replace(extra=0) == (768, 8, 14, 14)
    assert pickle.loads(pickle.dumps(x)) == x
    assert (str(x), shape_text(x)) == ("(768, 8, 14, 14) and 1 token", "768×8×14²+1")


def test_tokens_without_a_map() -> None:
    x = Shape(512, 0, 0, 0, extra=77)
    assert (x.positions, x.elements, x.tensor) == (77, 77 * 512, (512, 1, 1, 77))
    assert (str(x), shape_text(x)) == ("(512, 77 tokens)", "512×77")


POINT = ops.Conv(out_channels=4, kernel=(1, 1, 1))


@pytest.mark.parametrize("op", [POINT, ops.MaxPool(kernel=(1, 2, 2)), ops.GroupNorm(groups=2)])
def test_ops_over_the_map_refuse_tokens_beside_it(op: Op) -> None:
    with pytest.raises(SpecError) as caught:
        graph_of(op, (Shape(4, 2, 6, 6, 1),))
    assert f"{ops.key_of(type(op))} of a map with tokens beside it" in str(caught.value)
    assert "(4, 2, 6, 6) and 1 token" in str(caught.value)


def test_values_with_and_without_tokens_do_not_merge() -> None:
    with pytest.raises(SpecError, match="sum of maps that differ in tokens"):
        ops.Add().out(Shape(4, 2, 6, 6, 1), Shape(4, 2, 6, 6))
    gate = Shape(4, 1, 1, 1)
    assert ops.Mul().out(Shape(4, 2, 6, 6, 1), gate) == ops.Mul().out(gate, Shape(4, 2, 6, 6, 1)) == (4, 2, 6, 6, 1)
    with pytest.raises(SpecError, match="product of maps that differ in h, w, tokens"):
        ops.Mul().out(Shape(4, 2, 6, 6, 1), Shape(4, 2, 1, 1))


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(st.data())
def test_an_op_that_passes_tokens_treats_them_as_positions(kind: type[Op], data: st.DataObject) -> None:
    """One map of a row as wide as map and tokens together gives the same numbers."""
    op, maps = data.draw(random_ops(kind).filter(lambda found: len({x[1:] for x in found[1]}) == 1))
    extra = data.draw(st.integers(1, 3))
    xs = tuple(x._replace(extra=extra) for x in maps)
    rows = tuple(Shape(x.c, 1, 1, x.positions) for x in xs)
    values = {f"x{i}": torch.randn(2, *x.tensor) for i, x in enumerate(xs)}
    fed: Any = values if len(values) > 1 else values["x0"]
    torch.manual_seed(0)
    got = build_graph(graph_of(op, xs)).eval()
    torch.manual_seed(0)
    want = build_graph(graph_of(op, rows)).eval()
    assert op.out(*xs).extra == extra
    torch.testing.assert_close(got(fed), want(fed))
    assert op.cost(*xs) == op.cost(*rows)


def alone(op: Op, *values: Tensor, extra: tuple[int, ...], sizes: tuple[int, int, int]) -> Tensor:
    """One op on values of one clip, of which so many tokens stand beside a map of that size."""
    xs = [Shape(len(v), *(sizes if v[0].numel() > k else (0, 0, 0)), k) for v, k in zip(values, extra)]
    network = build_graph(graph_of(op, tuple(xs))).eval()
    batch = {f"x{i}": v[None] for i, v in enumerate(values)}
    y: Tensor = network(batch if len(batch) > 1 else batch["x0"])[0]
    return y


def test_where_tokens_lie_by_hand() -> None:
    """Two frames of 1 x 2, one channel: 1 2 | 3 4, and a token 9 in front."""
    both = torch.tensor([9.0, 1, 2, 3, 4]).view(1, 1, 1, 5)
    size = (2, 1, 2)
    assert alone(ops.TakeMap(), both, extra=(1,), sizes=size).tolist() == [[[[1, 2]], [[3, 4]]]]
    assert alone(ops.TakeTokens(), both, extra=(1,), sizes=size).flatten().tolist() == [9]
    assert alone(ops.TokenMean(), both, extra=(1,), sizes=size).item() == pytest.approx(3.8)
    rows = alone(ops.FrameRows(), both, extra=(1,), sizes=size)
    assert rows[0, :, :, 0].tolist() == [[9, 1, 2], [9, 3, 4]]
    changed = torch.tensor([[5.0, 1, 2], [7, 3, 4]]).view(1, 2, 3, 1)
    graph = graph_of(ops.FromFrameRows(), (Shape(1, 2, 3, 1), Shape(1, *size, 1)))
    back = build_graph(graph)({"x0": changed[None], "x1": both[None]})
    assert back.flatten().tolist() == [6, 1, 2, 3, 4]
    joined = alone(ops.JoinTokens(), both[..., :1], both[..., 1:].view(1, *size), extra=(1, 0), sizes=size)
    assert joined.tolist() == both.tolist()
    assert alone(ops.FrameToken(index=1), rows, extra=(0,), sizes=(2, 3, 1)).flatten().tolist() == [1, 3]


def test_rotary_positions_are_the_formula() -> None:
    """Two heads of 14 channels: four each for t, h and w, of rates 1, 1/100, 1, 1/100."""
    size, x = (2, 3, 2), torch.randn(28, 2, 3, 2)
    y = alone(ops.Rotary(heads=2), x, extra=(0,), sizes=size)
    for head, (t, h, w) in itertools.product(range(2), itertools.product(*map(range, size))):
        before, want = x[14 * head : 14 * head + 14, t, h, w].tolist(), []
        for axis, place in enumerate((t, h, w)):
            for a, b in (before[4 * axis : 4 * axis + 2], before[4 * axis + 2 : 4 * axis + 4]):
                want += [a * math.cos(place) - b * math.sin(place)]
                want += [b * math.cos(place / 100) + a * math.sin(place / 100)]
        assert y[14 * head : 14 * head + 14, t, h, w].tolist() == pytest.approx([*want, *before[12:]], abs=1e-6)
    both = torch.cat([torch.randn(28, 2), x.flatten(1)], dim=1)[:, None, None]
    beside = alone(ops.Rotary(heads=2), both, extra=(2,), sizes=size)
    torch.testing.assert_close(beside.flatten(1), torch.cat([both[:, 0, 0, :2], y.flatten(1)], dim=1))


def test_pairs_of_channels_turn_as_complex_numbers() -> None:
    """Columns turn the first 8 of 16 channels, rows the others, counted from 1: a pair by one angle."""
    x = torch.randn(32, 2, 3, 5)
    op = ops.Rotary(heads=2, over=("w", "h"), one_angle=True, start=1)
    y = alone(op, x, extra=(0,), sizes=(2, 3, 5))
    rates = 10000.0 ** (-torch.arange(4) / 4)
    columns, rows = (torch.arange(1, 1 + n)[:, None] * rates for n in (5, 3))
    angles = torch.cat([columns.expand(3, -1, -1), rows[:, None].expand(-1, 5, -1)], dim=-1).permute(2, 0, 1)
    pairs = torch.view_as_complex(x.unflatten(0, (2, 8, 2)).movedim(2, -1).contiguous())
    want = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None])
    torch.testing.assert_close(y, want.movedim(-1, 2).flatten(0, 2))


def test_tables_of_positions_by_hand() -> None:
    """hw: 10 for the token, 100 and 200 for the columns; t: 0 and 1000."""
    graph = graph_of(ops.Positions(over=("hw", "t")), (Shape(1, 2, 1, 2, 1),))
    network = build_graph(graph)
    network.load_state_dict({"op.hw": torch.tensor([[10.0], [100], [200]]), "op.t": torch.tensor([[0.0], [1000]])})
    y = network(torch.tensor([9.0, 1, 2, 3, 4]).view(1, 1, 1, 1, 5))
    assert y.flatten().tolist() == [19, 101, 202, 1103, 1204]
    assert ops.Positions(over=("hw", "t")).cost(Shape(768, 8, 14, 14, 1)).params == (197 + 8) * 768
    assert ops.Positions(over=("hw", "t"), tokens=False).cost(Shape(768, 8, 14, 14, 1)).params == (196 + 8) * 768


@pytest.mark.parametrize("over", [("thw",), ("hw", "t"), ("h", "tw"), ("hw",)])
def test_tables_are_added_where_their_axes_lie(over: Any) -> None:
    """Of a map alone: each frame its own where a table has frames, else all the same."""
    x = Shape(2, 3, 2, 4)
    network = build_graph(graph_of(ops.Positions(over=over), (x,)))
    y = network(torch.zeros(1, *x))[0]
    want = torch.zeros(*x)
    for axes in over:
        (table,) = (one for name, one in network.named_parameters() if name.rpartition(".")[2] == axes)
        sizes = [n if axis in axes else 1 for axis, n in zip("thw", x[1:])]
        want = want + table.T.reshape(x.c, *sizes)
    assert torch.allclose(y, want)
    assert any("t" in axes for axes in over) == (not torch.equal(y[:, 0], y[:, 1]))


def test_sines_and_cosines_by_hand() -> None:
    """Of 4 channels the rates are 1 and 1/100; over w, h each axis has one pair of rate 1 (He et al. 2022, MAE)."""
    sin, cos = math.sin, math.cos
    x = Shape(4, 1, 2, 3)
    y = build_graph(graph_of(ops.SinePositions(), (x,)))(torch.zeros(1, *x))[0].flatten(1).T
    assert y[4].tolist() == pytest.approx([sin(4), cos(4), sin(0.04), cos(0.04)])
    y = build_graph(graph_of(ops.SinePositions(halves=True), (x,)))(torch.zeros(1, *x))[0].flatten(1).T
    assert y[4].tolist() == pytest.approx([sin(4), sin(0.04), cos(4), cos(0.04)])
    y = build_graph(graph_of(ops.SinePositions(over=("w", "h")), (x,)))(torch.zeros(1, *x))[0].flatten(1).T
    assert y[5].tolist() == pytest.approx([sin(2), cos(2), sin(1), cos(1)])
    tokens = x._replace(extra=1)
    y = build_graph(graph_of(ops.SinePositions(), (tokens,)))(torch.zeros(1, *tokens.tensor))[0].flatten(1).T
    assert y[0].tolist() == [0, 0, 0, 0]
    assert y[5].tolist() == pytest.approx([sin(4), cos(4), sin(0.04), cos(0.04)])


def test_a_whole_branch_is_dropped_for_a_clip_or_scaled_up() -> None:
    drop = build_graph(graph_of(ops.DropPath(p=0.25), (Shape(3, 2, 4, 4),))).train()
    torch.manual_seed(0)
    y = drop(torch.ones(400, 3, 2, 4, 4)).flatten(1)
    assert bool((y == y[:, :1]).all())
    assert set(y[:, 0].tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert 60 < int((y[:, 0] == 0).sum()) < 140


CUT = """
name: cut
clip: {frames: 4, size: 8}
pathways:
  main:
    stages:
      tokens: [{patches: {kernel: [2, 4, 4], channels: 6}}, class_token, {positions: {over: [hw, t]}}]
head: {class_token: {classes: 5}}
"""


def test_patches_positions_and_a_class_token_make_a_network(tmp_path: Path) -> None:
    """2 x 2 x 2 patches, with 6 x 96 + 6 weights; 6 of the token, (5 + 2) x 6 of positions, 12 + 35 of the head."""
    path = tmp_path / "cut.yaml"
    path.write_text(CUT)
    plan = archdsl.testing.check(archdsl.load(path))
    assert plan.shapes["main.tokens"] == (6, 2, 2, 2, 1)
    assert plan.params == 6 * 96 + 6 + 6 + 7 * 6 + 12 + 35
    scores = archdsl.build(plan)(torch.randn(2, 3, 4, 8, 8))
    assert scores.shape == (2, 5)
