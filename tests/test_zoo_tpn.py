"""Temporal Pyramid Networks: mmaction2's integers, with the auxiliary classifier and without."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.ops import Shape

AUX = 1024 * 2048 * 9 + 2 * 2048  # the auxiliary branch: 1 x 3 x 3 and its norm; its classifier comes on top

CARDS = {
    # mmaction2 at 4d6c9347: parameters (with the auxiliary classifier), multiply-adds, fvcore (without), classes
    "tpn_slow_r50": (91_498_336, 50_276_368_384, 50_456_801_280, 400),  # mm_tpn_slowonly_r50 8x8
    "tpn_tsm_r50": (82_445_724, 41_232_986_112, 41_413_419_008, 174),  # mm_tpn_tsm_r50 8f
}


@pytest.mark.parametrize("name", CARDS)
def test_integers_equal_mmaction2(name: str) -> None:
    params, macs, fvcore, classes = CARDS[name]
    plan = archdsl.compile(archdsl.load(name))
    assert plan.params == params - AUX - 2049 * classes
    assert (plan.macs, plan.count("fvcore")) == (macs, fvcore)
    assert plan.outputs == {"scores": (classes,)}


def test_the_auxiliary_classifier_is_counted_where_it_is() -> None:
    plan = archdsl.compile(archdsl.load("tpn_slow_r50_aux"))
    assert plan.params == CARDS["tpn_slow_r50"][0]
    assert plan.outputs == {"scores": (400,), "aux": (400,)}


def test_both_levels_meet_at_one_size_and_one_place_in_time() -> None:
    plan = archdsl.compile(archdsl.load("tpn_slow_r50"))
    assert plan.shapes["low.tempo"] == plan.shapes["high.tempo"] == Shape(1024, 1, 7, 7)
    assert plan.grids["low.tempo.1.pool"].t == plan.grids["high.tempo.1.pool"].t._replace(
        span=plan.grids["low.tempo.1.pool"].t.span
    )
    assert not plan.warnings


def test_the_flow_upwards_starts_from_what_the_flow_downwards_left() -> None:
    plan = archdsl.compile(archdsl.load("tpn_slow_r50"))
    downwards = "edges.tempo.high_to_low.merge"
    assert plan.graph.nodes["up.down.0.conv"].reads == (downwards,)
    assert plan.graph.nodes["low_up.level.0.conv"].reads == (downwards,)
    assert "high.tempo.1.pool" in plan.graph.nodes["edges.down.high_to_up.merge"].reads
