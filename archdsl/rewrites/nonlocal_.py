"""Non-local networks (arXiv:1711.07971): blocks in which every position reads every other, put between others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archdsl.blocks import Block, NonLocal
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage
from archdsl.rewrites.pathway_choice import chosen_pathway
from archdsl.spec.scalars import each_once


def insert_nonlocal(
    arch: Arch,
    after: Mapping[str, Iterable[int]],
    *,
    block: NonLocal | None = None,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with a non-local block after the blocks of each stage that `after` numbers from 0.

    `pathway` may be left out where there is one only. Raises SpecError for a stage or a block that is not there, or
    is named twice, and where there is none at all.
    """
    key, own = chosen_pathway(arch, pathway)
    stages = dict(own.stages)
    places = {stage: sorted(indices) for stage, indices in after.items()}
    if not any(places.values()):
        want = "numbers of blocks by stage, such as res4: [0, 2]"
        raise SpecError("a non-local block that is inserted nowhere", at="after", got=f"after={after}", want=want)
    for stage, indices in places.items():
        stages[stage] = with_after(
            own.stage_named(stage), each_once(indices, stage, at="after"), block or NonLocal(), stage
        )
    made: Arch = arch.but(name=name or arch.name, pathways={**arch.pathways, key: own.but(stages=stages)})
    return made


def with_after(stage: Stage, indices: list[int], block: Block, name: str) -> Stage:
    """A stage with the block after each of those numbered."""
    last = len(stage.blocks) - 1
    if indices and not 0 <= indices[0] <= indices[-1] <= last:
        raise SpecError(f"no such block in stage {name}", written=stage.written, got=str(indices), want=f"0 to {last}")
    blocks: list[Block] = []
    for i, one in enumerate(stage.blocks):
        blocks += [one, block] if i in indices else [one]
    return Stage(*blocks)
