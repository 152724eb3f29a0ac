"""Temporal kernels: a net whose kernels are flat in time is given some that are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from archdsl.blocks import Block, Conv, Residual
from archdsl.language import Arch, Stage
from archdsl.rewrites.pathway_choice import chosen_pathway


def with_temporal_kernels(
    arch: Arch,
    kernels: Mapping[str, int | Sequence[int]],
    *,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with the temporal kernels of each stage named: one for all its blocks, or several in turns.

    `{"stem": 5, "res3": (3, 1)}` is 5 x 7 x 7 in the stem, and 3 x 1 x 1, 1 x 1 x 1, 3 x 1 x 1, ... in front of the
    residual blocks of res3. Pools stay. `pathway` may be left out where there is one only.
    """
    key, own = chosen_pathway(arch, pathway)
    stages = dict(own.stages)
    for stage, chosen in kernels.items():
        turns = cycle((chosen,) if isinstance(chosen, int) else tuple(chosen))
        stages[stage] = Stage(*retimed(own.stage_named(stage), turns))
    made: Arch = arch.but(name=name or arch.name, pathways={**arch.pathways, key: own.but(stages=stages)})
    return made


def retimed(stage: Stage, turns: Iterator[int]) -> Iterator[Block]:
    """The blocks of a stage; each that has a temporal kernel takes the next."""
    for block in stage.blocks:
        match block:
            case Residual():
                yield block.but(kernel_t=next(turns))
            case Conv():
                yield block.but(kernel=(next(turns), *block.kernel[1:]))
            case _:
                yield block
