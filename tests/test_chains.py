"""Chains behind a convolution: what fusion runs at once."""

from __future__ import annotations

import pytest

from archdsl import ops
from archdsl.compiler.chains import chain_from
from archdsl.graph import Builder, readers_of
from archdsl.ops import UNIT, Grid, Shape

CONV = ops.Conv(out_channels=4, kernel=(1, 1, 1))


@pytest.mark.parametrize(
    ("reads", "taken", "want"),
    [
        (("norm", "x"), (), ["conv", "norm", "sum", "act"]),
        (("norm", "x"), ("sum",), ["conv", "norm"]),
        (("norm", "x", "x"), (), ["conv", "norm"]),
        (("norm", "norm"), (), ["conv", "norm"]),
    ],
)
def test_a_chain_ends_where_it_is_not_alone(reads: tuple[str, ...], taken: tuple[str, ...], want: list[str]) -> None:
    g = Builder()
    x = g.source("x", Shape(4, 2, 4, 4), Grid(UNIT, UNIT, UNIT))
    g.add("norm", ops.BatchNorm(), g.add("conv", CONV, x))
    g.outputs["y"] = g.add("act", ops.Relu(), g.add("sum", ops.Add(), *reads))
    graph = g.finish()
    chain = chain_from(graph, readers_of(graph), graph.nodes["conv"], taken)
    assert [node.address for node in chain.nodes] == want
