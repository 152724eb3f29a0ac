"""The builder: addresses, faults kept and told together, values that could not be made."""

from __future__ import annotations

from fractions import Fraction

import pytest

from archdsl import ops
from archdsl.compiler.topological_order import Cycle, topological_order
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import UNIT, Cost, Grid, Shape

GRID = Grid(UNIT, UNIT, UNIT, Fraction(1, 30))


@pytest.fixture
def g() -> Builder:
    builder = Builder()
    builder.source("clip", Shape(3, 4, 8, 8), GRID)
    return builder


def test_addresses_follow_the_scopes(g: Builder) -> None:
    with g.inside("slow", "Pathway", container=True), g.inside("res2", "Stage"):
        x = g.add("act", ops.Relu(), "clip")
    assert x == "slow.res2.act"
    graph = g.finish()
    assert graph.scopes["slow"].container
    assert graph.scopes["slow.res2"].kind == "Stage"
    assert graph.nodes[x].reads == ("clip",)
    assert graph.grids[x].t.step == 1
    assert graph.grids[x].tick == Fraction(1, 30)


def test_all_faults_are_kept_and_what_follows_them_is_silent(g: Builder) -> None:
    with g.inside("a", written="x.yaml:3"):
        bad = g.add("gray", ops.Gray(), g.add("pair", ops.Concat(), "clip", "clip"))
        after = g.add("act", ops.Relu(), bad)
        g.shape(after)  # has none: leaves the block
        g.add("never", ops.Relu(), "clip")
    with g.inside("b", written="x.yaml:5"):
        g.add("pack", ops.TimeToChannels(factor=3), "clip")
    assert (bad, after) == (UNKNOWN, UNKNOWN)
    assert "a.never" not in g.nodes
    with pytest.raises(SpecError) as caught:
        g.finish()
    assert [(fault.at, fault.written) for fault in caught.value.faults] == [
        ("a.gray", "x.yaml:3"),
        ("b.pack", "x.yaml:5"),
    ]


def test_one_fault_is_told_once(g: Builder) -> None:
    for _ in range(2):
        g.add("pack", ops.TimeToChannels(factor=3), "clip")
    with pytest.raises(SpecError) as caught:
        g.finish()
    assert len(caught.value.faults) == 1


def test_two_ops_of_one_name(g: Builder) -> None:
    g.add("act", ops.Relu(), "clip")
    assert g.add("act", ops.Relu(), "clip") == UNKNOWN
    assert g.faults[0].what == "two ops named 'act'"


@pytest.mark.parametrize(
    ("op", "reads", "want"), [(ops.Relu(), 2, "1"), (ops.Add(), 1, "two or more"), (ops.Mul(), 3, "2")]
)
def test_an_op_reads_so_many_maps(g: Builder, op: ops.Op, reads: int, want: str) -> None:
    assert g.add("op", op, *["clip"] * reads) == UNKNOWN
    assert (g.faults[0].got, g.faults[0].want) == (str(reads), want)


def test_tied_nodes_name_their_owner(g: Builder) -> None:
    conv = ops.Conv(out_channels=4, kernel=(1, 1, 1))
    with g.inside("one"):
        g.add("conv", conv, "clip")
    g.tied = ("two", "one")
    with g.inside("two"):
        g.add("conv", conv, "clip")
    assert [node.tied for node in g.finish().nodes.values()] == [None, None, "one.conv"]


def test_shared_parts_within_shared_parts_have_the_first_owner(g: Builder) -> None:
    conv = ops.Conv(out_channels=4, kernel=(1, 1, 1))

    def twice() -> None:
        with g.inside("ahead"):
            g.add("conv", conv, "clip")
        with g.inside("behind"), g.sharing("ahead"):
            g.add("conv", conv, "clip")

    with g.inside("stage"):
        with g.inside("one"):
            twice()
        with g.inside("two"), g.sharing("one"):
            twice()
            g.add("more", conv, "clip")
    tied = {address: node.tied for address, node in g.nodes.items() if node.tied}
    assert tied == {
        "stage.one.behind.conv": "stage.one.ahead.conv",
        "stage.two.ahead.conv": "stage.one.ahead.conv",
        "stage.two.behind.conv": "stage.one.ahead.conv",
        "stage.two.more": "stage.one.more",
    }


def test_costs_add_up() -> None:
    one = Cost(params=1, conv_macs=2, linear_macs=3, matmul_macs=4)
    assert one.macs == 9


def test_shapes_speak() -> None:
    shape = Shape(64, 4, 7, 5)
    assert (shape.positions, shape.elements, str(shape)) == (140, 8960, "(64, 4, 7, 5)")


def test_a_topological_order_keeps_the_given_one() -> None:
    assert topological_order({"c": ["a"], "b": [], "a": []}) == ["b", "a", "c"]
    assert topological_order({"d": ["c", "a"], "c": ["b"], "b": [], "a": ["b"]}) == ["b", "c", "a", "d"]


def test_a_cycle_is_named_without_what_only_waits_for_it() -> None:
    with pytest.raises(Cycle) as caught:
        topological_order({"waits": ["a"], "a": ["c"], "b": ["a"], "c": ["b", "free"], "free": []})
    assert caught.value.args == ("a", "b", "c")
