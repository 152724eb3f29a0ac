"""The cases that latency is told by: by hand, held against what the passes really leave, and spread over networks."""

from __future__ import annotations

from math import dist
from statistics import median
from typing import Any

import pytest
from forms import REPRESENTATIVES

import archdsl
from archdsl import ops
from archdsl.backend.passes import lowered_graph
from archdsl.backend.passes.base import Rewritten, layer_of
from archdsl.catalog import zoo
from archdsl.measuring import (
    CALIBRATION_NETWORKS,
    CASE_COUNT,
    TimedRounds,
    calibration_cases,
    small_plans,
    spread_cases,
)
from archdsl.measuring.calibration import timed_in_turn
from archdsl.ops import Shape
from archdsl.report.latency.cases import Case, CaseSizes, cases_of
from archdsl.report.latency.machine import passes_on
from benchmarks.latency import MODELS

MIRRORED = ("channels_last", "attention", "keys_first", "views", "fusion", "overwriting")
TAKEN = {name: choice for name, choice in passes_on("cpu", "infer").items() if name in MIRRORED}


def test_a_bottleneck_by_hand() -> None:
    x, more = Shape(64, 4, 56, 56), Shape(256, 4, 56, 56)
    case = Case(
        "1x1x1", (ops.Conv(out_channels=256, kernel=(1, 1, 1)), ops.BatchNorm(), ops.Add(), ops.Relu()), (x, more)
    )
    positions = 4 * 56 * 56
    assert case.sizes(2) == CaseSizes(
        positions=2 * positions,
        channels=256,
        width=56,
        read_channels=64,
        read=2 * 64 * positions,
        window=64,
        sums=1,
        functions=0,
        macs=2 * 64 * 256 * positions,
        bytes=4 * (64 * 256 + 2 * (64 + 256 + 256) * positions),
    )


def test_a_sum_over_pairs_by_hand() -> None:
    queries, keys, values = Shape(8, 4, 6, 6), Shape(8, 4, 3, 3), Shape(16, 4, 3, 3)
    pairs, reads = 144 * 36, (queries, keys, values)
    sizes = CaseSizes(144, 16, 6, 8, 8 * 144, 0, 0, 0, 0, 4 * (8 * 144 + 8 * 36 + 16 * 36 + 16 * 144))
    attention = Case("attention", (ops.Affinity(), ops.Softmax(axis="c"), ops.Gather()), reads)
    macs = (8 + 16) * pairs
    assert attention.sizes() == sizes._replace(macs=macs, window=36 * 24 // 16)
    first = Case("keys_first", (ops.Affinity(), ops.Gather(mean=True)), reads)
    macs = 8 * 16 * (36 + 144)
    assert first.sizes() == sizes._replace(macs=macs, window=8 * 180 // 144)
    assert [call.y for call in attention.calls] == [queries._replace(c=36), queries._replace(c=36), attention.y]


def test_a_sum_reads_what_another_convolution_gave() -> None:
    """A shortcut's convolution has its own norm behind it: what both give meets in the sum."""
    plan = archdsl.compile(archdsl.load("slow_8x8_r50"))
    added = [case for _, case in cases_of(plan, {}) if any(isinstance(op, ops.Add) for op in case.ops)]
    assert [case.sizes().sums for case in added] == [1] * 16
    assert all(case.reads[1] == case.y for case in added)


@pytest.mark.parametrize(
    "name",
    [
        *("slowfast_4x16_r50", "x3d_m", "s3d_g", "ipcsn_r152", "tdn_r50", "movinet_a0", "densenet121", "mobileone_s0"),
        *("slow_4x16_r50_nl_embedded", "slow_8x8_r50_nl", "i3d_32x2_r50_nl_gaussian", "two_stream_fusion_sum"),
        *("nasnet_a_mobile", "avslowfast_r50_8x8", "dff_r101_rfcn"),
    ],
)
def test_cases_are_what_the_passes_leave(name: str) -> None:
    """The report may not ask the backend: here they are held against each other, call for call."""
    plan = archdsl.compile(archdsl.load(name))
    graph = lowered_graph(plan.graph, TAKEN)
    called = [
        node.address
        for node in graph.nodes.values()
        if not isinstance(node.op, ops.Source) and layer_of(graph, node).call
    ]
    copies = [address for address in called if address.endswith("@channels_last")]
    told = list(cases_of(plan, TAKEN))
    assert sorted(node.address for node, case in told if case.ops) == sorted(set(called) - set(copies))
    assert sum(not case.ops for _, case in told) == len(copies)


def test_sums_over_pairs_are_what_the_passes_leave() -> None:
    """Node for node, in networks of every form that have products of pairs, at the bound of the table and without."""
    kinds = {"attended": "attention", "gathered": "keys_first"}
    auto, found = passes_on("cpu", "infer"), list[str]()
    for plan in (archdsl.compile(model.arch()) for model in zoo() if model.name in REPRESENTATIVES):
        if not any(isinstance(node.op, ops.Affinity) for node in plan.nodes):
            continue
        for taken in (auto, {**auto, "attention": True}, {**auto, "attention": False, "keys_first": False}):
            lowered = lowered_graph(plan.graph, taken)
            nodes = [node for node in lowered.nodes.values() if isinstance(node.op, Rewritten)]
            called = {node.address: node.op.text.call.partition("(")[0] for node in nodes}
            left = {at: kinds[name] for at, name in called.items() if name in kinds}
            told = [(node.address, case.kind) for node, case in cases_of(plan, taken) if case.kind in kinds.values()]
            assert dict(told) == left
            found += left.values()
    assert {*found} == {*kinds.values()}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Those of a calibration."""
    return calibration_cases(TAKEN)


def test_networks_that_a_calibration_runs_exist(cases: list[Case]) -> None:
    assert all(plan.macs < 2e10 for plan in small_plans())
    kinds = {case.kind for case in cases}
    assert len(cases) == CASE_COUNT
    assert not {*MODELS} & {*CALIBRATION_NETWORKS}
    assert {case.kind for name in MODELS for _, case in cases_of(archdsl.compile(archdsl.load(name)), TAKEN)} <= kinds
    assert {"transposed_conv", "roi_align", "resize", "past", "affinity", "tv_l1_flow"} <= kinds


def test_small_maps_are_among_the_samples(cases: list[Case]) -> None:
    """Half of X3D-XS's cases have a sample less than a doubling of one size away."""
    known: dict[str, list[tuple[float, ...]]] = {}
    for case in cases:
        known.setdefault(case.kind, []).append(case.sizes().point)
    found = [case for _, case in cases_of(archdsl.compile(archdsl.load("x3d_xs")), TAKEN)]
    near = [min(dist(case.sizes().point, one) for one in known[case.kind]) for case in found]
    assert median(near) < 1


def test_samples_are_spread() -> None:
    def pool(size: int) -> Case:
        return Case("relu", (ops.Relu(),), (Shape(8, 1, size, size),))

    line = [pool(size) for size in (8, 16, 32, 33, 34, 128)]
    assert [case.reads[0].w for case in spread_cases([*line, *line], 4)] == [8, 128, 32, 16]


def test_rounds_in_which_others_were_busy_do_not_count() -> None:
    assert TimedRounds([(1.0, 0.0), (9.0, 0.5), (1.2, 0.01), (1.1, 0.0), (9.0, 0.5), (9.0, 0.5)]).seconds == 1.1
    assert TimedRounds([(1.0, 0.0), (9.0, 0.5), (8.0, 0.5)]).seconds == 8.0


def test_what_goes_before_a_step_is_run_and_not_counted() -> None:
    ran: list[str] = []
    steps: Any = {
        name: (lambda name=name: ran.append(f"to {name}"), lambda name=name: ran.append(name)) for name in "ab"
    }
    found = timed_in_turn(steps, 2, lambda: None)
    assert ran == ["to a", "a", "to b", "b"] * 2
    assert {name: len(timed.rounds) for name, timed in found.items()} == {"a": 2, "b": 2}
