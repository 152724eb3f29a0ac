"""Mutated specs and recipes: each succeeds, or ends as SpecError. `python -m tests.fuzz` tries as many as you like."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import recipes, run_one, small_specs


def test_mutated_specs(tmp_path: Path) -> None:
    good = sum(run_one("spec", 1, index, tmp_path, small_specs(), False) for index in range(2000))
    assert 200 < good < 1500


def test_mutated_recipes(tmp_path: Path) -> None:
    good = sum(run_one("recipe", 1, index, tmp_path, recipes(), False) for index in range(300))
    assert 30 < good < 250
