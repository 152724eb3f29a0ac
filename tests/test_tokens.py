"""Tokens beside a map: their shape, which ops pass them, and that these treat them as they treat positions."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.errors import SpecError
from archdsl.ops import OPS, Op, Shape
from archdsl.report.number_format import shape_text
from archdsl.testing import graph_of
from archdsl.testing import ops as random_ops

PASSING = [kind for kind in OPS if kind.passes_extra and kind.reads != 0]


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
    assert f"{ops.key_of(type(op))} of tokens beside the map" in str(caught.value)
    assert "(4, 2, 6, 6) and 1 token" in str(caught.value)


def test_values_with_and_without_tokens_do_not_merge() -> None:
    with pytest.raises(SpecError, match="sum of maps that differ in tokens"):
        ops.Add().out(Shape(4, 2, 6, 6, 1), Shape(4, 2, 6, 6))
    gate = Shape(4, 1, 1, 1)
    assert ops.Mul().out(Shape(4, 2, 6, 6, 1), gate) == ops.Mul().out(gate, Shape(4, 2, 6, 6, 1)) == (4, 2, 6, 6, 1)
    with pytest.raises(SpecError, match="product of maps that differ in h, w, tokens"):
        ops.Mul().out(Shape(4, 2, 6, 6, 1), Shape(4, 2, 1, 1))


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
@settings(max_examples=10)
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
