"""Stepwise expansion: from x2d along one axis at a time to the published X3D nets."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from itertools import pairwise
from pathlib import Path

import pytest

import archdsl
from archdsl import catalog
from archdsl.cli import main
from archdsl.cli.arguments.options import mac_count
from archdsl.errors import SpecError
from archdsl.report.stepwise_expansion import StepwiseExpansion

ORDER = ["b", "tau", "s", "d", "t", "tau", "t", "s", "s", "d", "w"]


def test_the_walk_meets_the_published_nets() -> None:
    """Steps 5, 8, 10 and 11 are XS, M, L and XL: no number is told but the order of the axes and the budget."""
    steps = StepwiseExpansion(catalog.model("x2d")).run(ORDER, archdsl.compile(archdsl.load("x3d_xl")).macs)
    for i, name in ((5, "x3d_xs"), (8, "x3d_m"), (10, "x3d_l"), (11, "x3d_xl")):
        plan = archdsl.compile(archdsl.load(name))
        assert (steps[i].plan.macs, steps[i].plan.params) == (plan.macs, plan.params), name
    growth = [b.plan.macs / a.plan.macs for a, b in pairwise(steps)]
    assert 1.9 < min(growth) <= max(growth) < 2.01


def test_each_step_changes_its_axis_alone() -> None:
    steps = StepwiseExpansion(catalog.model("x2d")).run(ORDER, 36 * 10**9)
    touched = {
        "b": {"inner"},
        "tau": {"frames", "every"},
        "t": {"frames"},
        "s": {"crop"},
        "d": {"depth"},
        "w": {"width"},
    }
    for before, after in pairwise(steps):
        changed = {name for name, value in after.parameters.items() if before.parameters[name] != value}
        assert changed <= touched[after.axis]
        assert changed


def test_the_last_step_ends_near_the_budget() -> None:
    steps = StepwiseExpansion(catalog.model("x2d")).run(["b", "b", "b"], 100_000_000)
    assert abs(steps[-1].plan.macs / 100_000_000 - 1) < 0.05


@pytest.mark.parametrize(
    ("name", "order", "budget", "what"),
    [
        ("x2d", ["b", "z"], 10**9, "no axis 'z'"),
        ("x2d", ["b"], 10**9, "an order that ends before the budget"),
        ("x2d", ["b"], 10**6, "a budget that is spent before the first step"),
        ("resnet18", ["b"], 10**12, "resnet18 has no axes to grow along"),
    ],
)
def test_what_cannot_grow_is_said(name: str, order: list[str], budget: int, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        StepwiseExpansion(catalog.model(name)).run(order, budget)


def test_the_command_prints_the_walk_and_writes_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grown.yaml"
    assert main(["expand", "x2d", "--macs", "4.7e9", "--json", "-o", str(path)]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["axis"] for record in records] == ["", *ORDER[:8]]
    assert records[-1]["macs"] == 4_732_468_736
    plan = archdsl.compile(archdsl.load(str(path)))
    assert (plan.name, plan.macs) == ("x2d_expanded", 4_732_468_736)


@pytest.mark.parametrize("macs", ["much", "0", "-1", "nan", "1e30"])
def test_a_budget_that_is_no_number_is_said(macs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expand", "x2d", "--macs", macs]) == 2
    assert "is not a number of multiply-adds" in capsys.readouterr().err


def test_a_budget_of_one_multiply_add_is_the_least() -> None:
    assert mac_count("1") == 1
    with pytest.raises(ArgumentTypeError, match="less than one multiply-add"):
        mac_count("0.5")
