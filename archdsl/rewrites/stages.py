"""What rewrites share: an arch with blocks replaced by others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archdsl.blocks import Block
from archdsl.blocks.branches import remade
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Arch, Stage


def with_stages(arch: Arch, remake: Callable[[Block], tuple[Block, ...]], *, keep: Iterable[str] = ()) -> Arch:
    """The arch with each block replaced by some, those within branches too. Stages named in `keep` stay.

    Raises SpecError for a stage to keep that no pathway has.
    """
    kept = set(keep)
    known = {stage for pathway in arch.pathways.values() for stage in pathway.stages}
    for stage in sorted(kept - known):
        want = ", ".join(sorted(known))
        raise SpecError(f"no stage {stage!r} to keep", got=stage, want=want, fix=did_you_mean(stage, known))
    pathways = {}
    for name, pathway in arch.pathways.items():
        stages = {s: stage if s in kept else with_blocks(stage, remake) for s, stage in pathway.stages.items()}
        pathways[name] = pathway.but(stages=stages)
    made: Arch = arch.but(pathways=pathways)
    return made


def with_blocks(stage: Stage, remake: Callable[[Block], tuple[Block, ...]]) -> Stage:
    """The stage with each block replaced by some; the stage itself where nothing changes."""
    blocks = remade(stage.blocks, remake)
    return stage if blocks == stage.blocks else Stage(*blocks)
