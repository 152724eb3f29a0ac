"""Every two fields of a recipe work together, or are refused with a reason before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.recipe_pairs import all_pairs, outcomes_on, page_of_all, verdict

FAST = (("precision: bf16", "norms.split"), ("channels_last", "checkpoint: stage"), ("norms.split", "norms.sync"))
"""Pairs that fell, or of which one was not read."""


def test_a_few_pairs(tmp_path: Path) -> None:
    found = outcomes_on(1, FAST, tmp_path)
    said = [verdict(pair, found) for pair in FAST]
    assert said == ["both", "same", "statistics of parts and over processes at once"]


def test_pairs_are_all_pairs() -> None:
    """14 fields; bf16 and fp16, and the two levels of checkpoints, are one field each."""
    assert len(all_pairs()) == 1 + 14 + 14 * 13 // 2 - 2


@pytest.mark.slow
def test_all_pairs_on_one_process_and_on_two(tmp_path: Path) -> None:
    assert page_of_all(tmp_path) == (ROOT / "docs" / "recipe_fields.md").read_text(encoding="utf-8")
