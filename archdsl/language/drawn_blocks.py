"""Drawn blocks where an arch uses them: their definitions, and what is wrong with the use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archdsl.blocks import Block, Drawing, Drawn, Step
from archdsl.blocks.arithmetic import is_sum
from archdsl.blocks.branches import nested
from archdsl.blocks.step_fields import kind_of
from archdsl.blocks.steps import no_step
from archdsl.blocks.yaml_block import Definitions, no_block
from archdsl.errors import Fault
from archdsl.language.edge import Edge
from archdsl.language.pathway import Pathway
from archdsl.language.transforms import Through

PlacedBlocks = list[tuple[str, Block]]
"""(address, block)"""


def faults_of_drawn(pathways: Mapping[str, Pathway], edges: Iterable[Edge], names: Iterable[str]) -> list[Fault]:
    """Names that are no block, and parameters that a drawn block lacks; once for all blocks of one repeat."""
    faults: dict[Fault, Fault] = {}
    for at, block in block_places(pathways, edges):
        for fault in of_use(block, names) if isinstance(block, Drawn) else ():
            faults.setdefault(fault.under(at.rpartition(".")[0]), fault.under(at))
    return list(faults.values())


def of_use(block: Drawn, names: Iterable[str]) -> Iterator[Fault]:
    """What is wrong with one drawn block where it stands."""
    yield from block.faults() if block.drawing else no_block(block, names).faults


def faults_of_drawings(drawings: Mapping[str, Drawing]) -> list[Fault]:
    """Steps that are neither op nor block, fields that another drawing lacks, drawings made of themselves."""
    definitions, faults = Definitions(drawings=drawings), []
    for name, drawing in drawings.items():
        for at, step in drawing.steps.items():
            found = of_step(step, definitions)
            faults += [fault.under(f"blocks.{name}.steps.{at}").placed(None, step.written) for fault in found]
    for name, inner in definitions.rings():
        what, at = "a drawn block made of itself", f"blocks.{name}"
        got, want = f"{name} uses {inner}", "blocks drawn without it"
        faults.append(Fault(what=what, at=at, written=drawings[name].written, got=got, want=want))
    return faults


def of_step(step: Step, definitions: Definitions) -> Iterator[Fault]:
    """What is wrong with a step that is no op and no built-in block."""
    if is_sum(step.op) or kind_of(step.op, step.fields) is not None:
        return
    if step.op not in definitions.drawings:
        yield from no_step(step.op, definitions.drawings).faults
        return
    used = Drawn(name=step.op, values=step.fields, definitions=definitions)
    used._written = step.written
    yield from used.faults()


def block_places(pathways: Mapping[str, Pathway], edges: Iterable[Edge]) -> PlacedBlocks:
    """Every block of pathways and edges, those within others at the address of the outer one."""
    outer: PlacedBlocks = [
        (f"pathways.{name}.stages.{stage}.{i}", block)
        for name, pathway in pathways.items()
        for stage, made in pathway.stages.items()
        for i, block in enumerate(made.blocks)
    ]
    through = [(f"edges.{edge.label}.transform", t) for edge in edges for t in edge.transform if isinstance(t, Through)]
    outer += [(at, block) for at, transform in through for block in transform.blocks]
    return [(at, inner) for at, block in outer for inner in nested(block)]
