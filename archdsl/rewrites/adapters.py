"""Few weights that learn beside frozen ones: adapters in transformer blocks, low-rank terms of linear layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from archdsl.blocks import Attend, Block, Transformer
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage
from archdsl.language.lora import Lora
from archdsl.rewrites.pathway_choice import chosen_pathway

AdapterPlace = Literal["before", "between", "after", "beside", "before_time", "in_time"]
ADAPTER_PLACES = ("before", "between", "after", "beside", "before_time", "in_time")


def with_adapters(
    arch: Arch,
    adapters: Mapping[AdapterPlace, Block],
    *,
    stages: Iterable[str] | None = None,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with an adapter at each place of its transformer blocks, behind those that already stand there.

    `before` and `between` are in front of a branch and its shortcut (ST-Adapter, arXiv:2206.13559),
    `after` is behind the attention, `beside` beside the perceptron. `in_time` puts an attention over time
    with the same weights in front of the block's own, the adapter behind it (AIM, arXiv:2302.03024); `before_time`
    stands behind its norm. Addresses of the arch's own weights stay. Raises SpecError for a place or a stage without
    transformer blocks.
    """
    if unknown := [place for place in adapters if place not in ADAPTER_PLACES]:
        raise SpecError(f"no place {unknown[0]!r} for an adapter", got=unknown[0], want=", ".join(ADAPTER_PLACES))
    if "before_time" in adapters and "in_time" not in adapters:
        raise SpecError("an adapter before an attention that is not there", got="before_time", want="in_time beside it")
    key, own = chosen_pathway(arch, pathway)
    changed = dict(own.stages)
    for stage in own.stages if stages is None else stages:
        blocks = own.stage_named(stage).blocks
        changed[stage] = Stage(*(with_block_adapters(b, adapters) if isinstance(b, Transformer) else b for b in blocks))
        if stages is not None and changed[stage] == own.stages[stage]:
            got = ", ".join(type(block).__name__ for block in blocks)
            raise SpecError(f"no transformer block in stage {stage}", got=got, want="a transformer block")
    if changed == dict(own.stages):
        raise SpecError("adapters of no transformer block", got=", ".join(changed), want="stages of transformer blocks")
    made: Arch = arch.but(name=name or arch.name, pathways={**arch.pathways, key: own.but(stages=changed)})
    return made


def with_block_adapters(block: Transformer, adapters: Mapping[AdapterPlace, Block]) -> Transformer:
    """One block with adapters at their places."""
    places: tuple[AdapterPlace, ...] = ("before", "between", "beside")
    changes = {place: (*getattr(block, place), adapters[place]) for place in places if place in adapters}
    attends = block.attend
    if "after" in adapters:
        attends = tuple(one.but(after=(*one.after, adapters["after"])) for one in attends)
    if "in_time" in adapters:
        before = (adapters["before_time"],) if "before_time" in adapters else ()
        attends = (Attend(over="t", shared=True, before=before, after=(adapters["in_time"],)), *attends)
    made: Transformer = block.but(attend=attends, **changes)
    return made


def with_lora(
    arch: Arch,
    at: str | Iterable[str] = ("*.query", "*.value"),
    *,
    rank: int = 8,
    alpha: float | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with a low-rank term of linear layers (LoRA, arXiv:2106.09685), chosen by address with * and ?.

    W x becomes W x + alpha / rank B A x; `alpha` is by default the rank. Addresses of the arch's own weights stay.
    """
    patterns = (at,) if isinstance(at, str) else tuple(at)
    made: Arch = arch.but(name=name or arch.name, lora=Lora(at=patterns, rank=rank, alpha=alpha))
    return made
