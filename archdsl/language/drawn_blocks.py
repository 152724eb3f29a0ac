"""Drawn blocks where an arch uses them: their definitions, and what is wrong with the use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from archdsl.blocks import Block, Drawing, Drawn
from archdsl.blocks.branches import nested
from archdsl.errors import Fault, did_you_mean, listed
from archdsl.language.edge import Edge, Through
from archdsl.language.pathway import BLOCKS_BY_KEY, Pathway, Stage

Places = list[tuple[str, Block]]
"""(address, block)"""


def defined(thing: Any, drawings: Mapping[str, Drawing]) -> Any:
    """Pathways, edges or a part of them with a definition for every drawn block; what has none is the same object."""
    if isinstance(thing, Drawn):
        drawing = drawings.get(thing.name)
        return thing if drawing is None or (drawing is thing.drawing and not thing.later) else thing.defined(drawing)
    if isinstance(thing, Mapping):
        made = {name: defined(value, drawings) for name, value in thing.items()}
        return made if any(made[name] is not value for name, value in thing.items()) else thing
    if isinstance(thing, tuple):
        parts = [defined(part, drawings) for part in thing]
        return tuple(parts) if any(part is not old for part, old in zip(parts, thing)) else thing
    if isinstance(thing, Stage) and not any(isinstance(b, Drawn) for block in thing.blocks for b in nested(block)):
        return thing
    if isinstance(thing, Pathway | Stage | Edge | Through | Block):
        fields = {name: value for name, value in thing if isinstance(value, Mapping | tuple)}
        made = {name: defined(value, drawings) for name, value in fields.items()}
        changed = {name: value for name, value in made.items() if value is not fields[name]}
        return thing.model_copy(update=changed) if changed else thing
    return thing


def faults_of_drawn(pathways: Mapping[str, Pathway], edges: Iterable[Edge], names: Iterable[str]) -> list[Fault]:
    """Names that are no block, and parameters that a drawn block lacks; once for all blocks of one repeat."""
    faults: dict[Fault, Fault] = {}
    for at, block in places(pathways, edges):
        for fault in of_use(block, names) if isinstance(block, Drawn) else ():
            faults.setdefault(fault.under(at.rpartition(".")[0]), fault.under(at))
    return list(faults.values())


def of_use(block: Drawn, names: Iterable[str]) -> Iterator[Fault]:
    """What is wrong with one drawn block where it stands."""
    if block.drawing:
        yield from block.faults()
        return
    known = [*BLOCKS_BY_KEY, *names]
    what, near = f"no block {block.name!r}", did_you_mean(block.name, known)
    yield Fault(what=what, written=block.written, got=block.name, want=listed(known), fix=near)


def places(pathways: Mapping[str, Pathway], edges: Iterable[Edge]) -> Places:
    """Every block of pathways and edges, those within others at the address of the outer one."""
    outer: Places = [
        (f"pathways.{name}.stages.{stage}.{i}", block)
        for name, pathway in pathways.items()
        for stage, made in pathway.stages.items()
        for i, block in enumerate(made.blocks)
    ]
    through = [(f"edges.{edge.label}.transform", t) for edge in edges for t in edge.transform if isinstance(t, Through)]
    outer += [(at, block) for at, transform in through for block in transform.blocks]
    return [(at, inner) for at, block in outer for inner in nested(block)]
