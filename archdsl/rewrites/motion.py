"""Motion modules put into 2-D nets: what stands in front of, within or beside the kernels of each residual block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from archdsl.blocks import Block, InvertedResidual, MaxPool, Residual, TimeShift
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage
from archdsl.rewrites.pathway_choice import chosen_pathway, with_stage_after

ModulePlace = Literal["before", "between", "beside"]
Modules = Mapping[ModulePlace, Block | tuple[Block, ...] | Callable[[Block], Block]]
"""Place in a residual block -> what stands there, or a function of the block that gives it."""


def with_modules(
    arch: Arch,
    modules: Modules,
    *,
    stages: Iterable[str] | None = None,
    each: int = 1,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with modules in its residual blocks, after those that already stand there.

    `stages` names the stages (by default all), `each=2` skips every second residual block of a stage. Raises SpecError
    where a named stage has no residual block.
    """
    key, own = chosen_pathway(arch, pathway)
    changed = dict(own.stages)
    for stage in own.stages if stages is None else stages:
        before = own.stage_named(stage)
        changed[stage] = Stage(*with_each(before.blocks, modules, each))
        if stages is not None and changed[stage] == before:
            got = ", ".join(type(block).__name__ for block in before.blocks)
            raise SpecError(
                f"no residual block in stage {stage}", written=before.written, got=got, want="a residual block"
            )
    made: Arch = arch.but(name=name or arch.name, pathways={**arch.pathways, key: own.but(stages=changed)})
    return made


def with_each(blocks: Iterable[Block], modules: Modules, each: int) -> list[Block]:
    """The blocks of a stage, modules in every `each`-th residual one."""
    made, met = [], 0
    for block in blocks:
        if isinstance(block, Residual):
            block, met = (with_block_modules(block, modules) if met % each == 0 else block), met + 1
        made.append(block)
    return made


def with_block_modules(block: Residual, modules: Modules) -> Block:
    """One residual block with modules at their places."""
    changes = {}
    for place, module in modules.items():
        if place not in type(block).model_fields:
            raise SpecError(
                f"no place {place!r} in a {type(block).__name__}",
                written=block.written,
                got=place,
                want="before, between",
            )
        new = (module,) if isinstance(module, Block) else module if isinstance(module, tuple) else (module(block),)
        changes[place] = (*getattr(block, place), *new)
    made: Block = block.but(**changes)
    return made


def shift_in_time(
    arch: Arch,
    *,
    share: int = 8,
    past_only: bool = False,
    place: Literal["branch", "block"] = "branch",
    each: int = 1,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """TSM (arXiv:1811.08383): a shift at the start of each residual branch, or of each block, shortcut included.

    Inverted residual blocks are shifted where they keep their map's shape. `past_only` is the online form.
    """
    shift = TimeShift(share=share, past_only=past_only)
    key, own = chosen_pathway(arch, pathway)
    made = with_modules(arch, {"before": shift}, each=each, pathway=key) if place == "branch" else arch
    stages = {}
    for stage, held in made.pathways[key].stages.items():
        blocks = held.blocks
        if place == "block":
            blocks = tuple(
                one for block in blocks for one in ((shift, block) if isinstance(block, Residual) else (block,))
            )
        stages[stage] = Stage(*shifted_inverted(blocks, shift))
    changed: Arch = made.but(name=name or arch.name, pathways={**made.pathways, key: own.but(stages=stages)})
    return changed


def shifted_inverted(blocks: Iterable[Block], shift: TimeShift) -> list[Block]:
    """Inverted residual blocks that add what enters them, shifted; in a stage these are all but the first."""
    made: list[Block] = []
    for block in blocks:
        last = made[-1] if made else None
        same = (
            isinstance(block, InvertedResidual)
            and isinstance(last, InvertedResidual)
            and last.channels == block.channels
        )
        keeps = same and isinstance(block, InvertedResidual) and block.stride == 1
        made.append(
            block.but(before=(*block.before, shift)) if keeps and isinstance(block, InvertedResidual) else block
        )
    return made


def pool_in_time(arch: Arch, *, after: str = "res2", pathway: str | None = None, name: str | None = None) -> Arch:
    """The arch with its frames halved after a stage, the largest of three kept (TSM's temporal pool)."""
    stage = Stage(MaxPool(kernel=(3, 1, 1), stride=(2, 1, 1)))
    return with_stage_after(arch, after, stage, "pool", pathway, name)
