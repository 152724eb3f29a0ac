"""Which pathway a rewrite is about, and a stage put into it."""

from __future__ import annotations

from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Arch, Pathway, Stage


def chosen_pathway(arch: Arch, name: str | None) -> tuple[str, Pathway]:
    """The pathway of that name, or the only one."""
    if name is None and len(arch.pathways) == 1:
        return next(iter(arch.pathways.items()))
    if name not in arch.pathways:
        got = name or f"{len(arch.pathways)} pathways and none named"
        near = did_you_mean(name, arch.pathways) if name else None
        raise SpecError("no such pathway", written=arch.written, got=got, want=", ".join(arch.pathways), fix=near)
    assert name is not None
    return name, arch.pathways[name]


def with_stage_after(arch: Arch, after: str, stage: Stage, noun: str, pathway: str | None, name: str | None) -> Arch:
    """The arch with a stage `<noun>_<after>` behind another. Raises SpecError for a stage that is not there."""
    key, own = chosen_pathway(arch, pathway)
    own.stage_named(after)
    stages: dict[str, Stage] = {}
    for before, held in own.stages.items():
        stages[before] = held
        if before == after:
            stages[f"{noun}_{after}"] = stage
    made: Arch = arch.but(name=name or arch.name, pathways={**arch.pathways, key: own.but(stages=stages)})
    return made
