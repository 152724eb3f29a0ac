"""The simplest arch for which something still fails."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.language import Arch
from archdsl.testing.reduction import plan_if_legal, simpler

MOST_ARCHS_TRIED = 600
"""Archs that are tried on the way down."""


def simplest(arch: Arch, fails: Callable[[Arch], bool], tries: int = MOST_ARCHS_TRIED) -> Arch:
    """A legal arch for which `fails`, as does none that is one step simpler; the simplest of so many tries.

    After a step it goes on at the same place among the simpler ones, so that each pass tries each of them once.
    """
    start = -1
    while start != 0 and tries > 0:
        place, start = 0, 0
        while (made := next_failing(arch, place, fails)) and tries > 0:
            arch, place, tried = made
            tries -= tried
            start = 1
    return arch


def next_failing(arch: Arch, place: int, fails: Callable[[Arch], bool]) -> tuple[Arch, int, int] | None:
    """(the first simpler arch from a place on for which it fails, its place, how many were tried)."""
    tried = 0
    for i, make in enumerate(simpler(arch)):
        plan = plan_if_legal(make) if i >= place else None
        if plan and plan.arch != arch:
            tried += 1
            if fails(plan.arch):
                return plan.arch, i, tried
    return None
