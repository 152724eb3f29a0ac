"""Bounds that are measured: the choice that fits ratios best, by hand, and ladders that run. No time is asserted."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.backend.passes import PASSES, Bound
from archdsl.measuring import BenchSetup
from archdsl.measuring.bounds import CASES_BY_SIZE, best_bound, measure_bound
from archdsl.ops import Affinity, Conv
from archdsl.report.lowering_policy import is_size_bound

UP, FROM = Bound("channels", "up to", "channels"), Bound("pairs", "from", "pairs a channel")
BOUNDED = {one.name: one for one in PASSES if one.bound}


@pytest.mark.parametrize(
    ("bound", "ratios", "want"),
    [
        (UP, {8: 4.0, 16: 2.0, 32: 1.2, 64: 0.8}, {"channels": 32}),
        (UP, {8: 4.0, 16: 0.9, 32: 1.2, 64: 0.8}, {"channels": 32}),  # 0.9 x 1.2 > 1
        (UP, {8: 4.0, 16: 0.8, 32: 1.2, 64: 0.8}, {"channels": 8}),  # 0.8 x 1.2 < 1
        (UP, {8: 4.0, 16: 2.0, 32: 1.02, 64: 0.99}, {"channels": 16}),  # level counts for nothing
        (UP, {8: 4.0, 16: 2.0, 32: 1.2, 64: 1.1}, True),
        (UP, {8: 0.9, 16: 0.8, 32: 1.02}, False),
        (FROM, {512: 0.7, 1024: 0.9, 2048: 1.1, 4096: 2.0}, {"pairs": 2048}),
        (FROM, {512: 1.5, 1024: 1.1, 2048: 1.1, 4096: 2.0}, True),
        (FROM, {512: 1.1, 1024: 0.7, 2048: 0.9, 4096: 1.01}, False),
    ],
)
def test_the_choice_that_gains_the_most(bound: Bound, ratios: dict[int, float], want: Any) -> None:
    assert best_bound(bound, ratios) == want


def test_every_bound_has_a_ladder() -> None:
    assert CASES_BY_SIZE.keys() == BOUNDED.keys()


def test_rungs_are_of_their_size() -> None:
    cases_of_channels, channels = CASES_BY_SIZE["views"]
    for case in (case for size in channels for case in cases_of_channels(size)):
        assert isinstance(case.ops[0], Conv)
        assert case.ops[0].out_channels == case.reads[0].c in channels
    cases_of_pairs, sizes = CASES_BY_SIZE["attention"]
    for size in sizes:
        for case in cases_of_pairs(size):
            queries, keys, values = case.reads
            assert isinstance(case.ops[0], Affinity)
            assert queries.c == values.c
            assert queries.positions * keys.positions / queries.c == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", [*BOUNDED])
def test_a_ladder_runs(name: str, train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cases_of_size, (first, second, *_) = CASES_BY_SIZE[name]
    monkeypatch.setitem(CASES_BY_SIZE, name, (cases_of_size, (first, second)))
    said: list[str] = []
    choice = measure_bound(
        BOUNDED[name], {"channels_last": True, "fusion": not train}, BenchSetup(train=train), 1, said.append
    )
    assert isinstance(choice, bool) or is_size_bound(dict(choice))
    assert len(said) == 2
