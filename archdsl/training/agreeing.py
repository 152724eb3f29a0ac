"""Whether a checkpoint is of this arch and this recipe; if not, what differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archdsl.errors import Fault, SpecError
from archdsl.language import Arch
from archdsl.report.differences import diff
from archdsl.training.checkpoints import Facts
from archdsl.training.run import Run
from archdsl.written import read

FREE = (
    *("name", "source", "log_every", "evaluate_every", "save_every", "keep", "most_skipped"),
    *("compiled", "channels_last", "checkpoint", "views"),
)
"""Fields of a recipe that may change as a run goes on: they do not touch what is learnt."""
SHOWN = 12
"""Differences that are told."""


def check_agrees(run: Run, facts: Facts, checkpoint: Path, *, any_recipe: bool) -> None:
    """Raises SpecError with a list of what differs."""
    faults: list[Fault] = []
    if facts["source"] != run.identity["source"]:
        faults = list(arch_faults(run, facts, checkpoint))
    elif not any_recipe:
        faults = list(recipe_faults(run, facts, checkpoint))
    if faults:
        more = [Fault(what=f"and {len(faults) - SHOWN} more", written=str(checkpoint))]
        raise SpecError(faults if len(faults) <= SHOWN else faults[:SHOWN] + more)


def arch_faults(run: Run, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """What differs between two networks, by address."""
    what, fix = "a checkpoint of another arch", "another --out"
    if facts["arch"] is None or run.identity["arch"] is None:
        yield Fault(what=what, written=str(checkpoint), got="other emitted code: network.py", want="the same", fix=fix)
        return
    found = diff(read(Arch, facts["arch"]), run.plan.arch)
    where = str(checkpoint)
    for change in found.changed:
        yield Fault(what=what, at=change.address, written=where, got=change.before, want=change.after, fix=fix)
    for address in found.removed:
        yield Fault(what=what, at=address, written=where, got=address, want="nothing here", fix=fix)
    for address in found.added:
        yield Fault(what=what, at=address, written=where, got="nothing here", want=address, fix=fix)
    if not (found.changed or found.removed or found.added):
        yield Fault(what=what, written=where, got=found.inputs[0], want=found.inputs[1], fix=fix)


def recipe_faults(run: Run, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """Fields of the recipe that differ."""
    old, new = facts["recipe"], run.identity["recipe"]
    for at, before, after in differences(old, new):
        if at.partition(".")[0] not in FREE:
            yield Fault(
                what="a run begun with another recipe",
                at=f"recipe.{at}",
                written=str(checkpoint),
                got=before,
                want=after,
                fix=f"another --out, or --resume {checkpoint} to go on with the new recipe",
            )


def differences(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, str, str]]:
    """(address, before, after) of all that differs in plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif old != new:
        yield at, "the default" if old is None else str(old), "the default" if new is None else str(new)
