"""The treaty between ops and torch: shapes, parameters and fvcore's count of every op, random fields."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from torch import nn

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.backend.example_clips import random_inputs
from archdsl.ops import OPS, Op, Shape
from archdsl.testing import graph_of
from archdsl.testing import ops as random_ops
from archdsl.testing.agreement import fvcore_count

LOWERED = [kind for kind in OPS if kind is not ops.Source]


def built(op: Op, shapes: tuple[Shape, ...]) -> nn.Module:
    """One op as a torch module."""
    return build_graph(graph_of(op, shapes)).eval()


def fed(op: Op, shapes: tuple[Shape, ...], batch: int = 2, device: str = "cpu") -> Any:
    """What that module takes."""
    return random_inputs(graph_of(op, shapes), batch, device)


@pytest.mark.parametrize("kind", LOWERED, ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(st.data())
def test_an_op_tells_the_truth_about_torch(kind: type[Op], data: st.DataObject) -> None:
    op, shapes = data.draw(random_ops(kind))
    with torch.device("meta"):
        module = built(op, shapes)
    y = module(fed(op, shapes, device="meta"))
    want = op.out(*shapes)
    assert tuple(y.shape) == (2, *op.tensor(want))
    cost = op.cost(*shapes)
    assert sum(p.numel() for p in module.parameters()) == cost.params
    assert cost.activations == want.elements


@pytest.mark.parametrize("kind", LOWERED, ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(st.data())
def test_fvcore_counts_what_the_op_says(kind: type[Op], data: st.DataObject) -> None:
    op, shapes = data.draw(random_ops(kind))
    cost = op.cost(*shapes)
    assert fvcore_count(built(op, shapes), fed(op, shapes, batch=1)) == cost.macs + cost.fvcore_extra


@pytest.mark.parametrize("kind", LOWERED, ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(st.data())
def test_real_numbers_pass(kind: type[Op], data: st.DataObject) -> None:
    """What the meta device lets through, a CPU computes: finite numbers of the same shape.

    A module that was built there and gets memory and weights gives the same.
    """
    op, shapes = data.draw(random_ops(kind))
    module, given_ = built(op, shapes), fed(op, shapes)
    y = module(given_)
    assert y.numel() == 2 * op.out(*shapes).elements
    assert bool(torch.isfinite(y).all())
    with torch.device("meta"):
        empty = built(op, shapes)
    empty.to_empty(device="cpu").load_state_dict(module.state_dict())
    assert torch.equal(empty(given_), y)


@pytest.mark.parametrize("kind", LOWERED, ids=lambda kind: kind.__name__)
def test_examples_reach_every_field(kind: type[Op]) -> None:
    """No op has a field that its example leaves alone."""
    met: dict[str, set[Any]] = {name: set() for name in names_of(kind) if name not in FIXED.get(kind, ())}

    def left_alone(case: Any) -> list[str]:
        for name, values in met.items():
            values.add(getattr(case[0], name))
        return [name for name, values in met.items() if len(values) < 2]

    look = settings(max_examples=200, database=None, derandomize=True, phases=[Phase.generate])
    find(random_ops(kind), lambda case: not left_alone(case), settings=look)


FIXED: dict[type[Op], tuple[str, ...]] = {
    ops.BatchNorm: ("eps", "momentum"),
    ops.GroupNorm: ("eps",),
    ops.LayerNorm: ("eps",),
    ops.LocalResponseNorm: ("beta", "k"),
    ops.AvgPool: ("dilation",),
    ops.Conv: ("ceil",),
    ops.HeadConv: ("ceil",),
    ops.Past: ("lowest",),
}
"""Fields that touch neither shape nor cost, that must be 1, that torch has no word for (a convolution's `ceil`), or
that write infinities."""


def names_of(kind: type[Op]) -> list[str]:
    """The fields of an op."""
    return [field.name for field in fields(kind)]
