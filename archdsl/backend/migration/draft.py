"""A module that is no network of the zoo as a spec of its own: stages, head, clip, and what no trace shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from archdsl.backend.migration.chains import BlockChains, FoundBlock
from archdsl.backend.migration.heads import found_head
from archdsl.backend.migration.known_ops import with_known_ops
from archdsl.backend.migration.regions import series_of
from archdsl.backend.migration.units import UnitReader
from archdsl.backend.reader import ModuleReading
from archdsl.backend.reader.read_ops import ReadOp
from archdsl.backend.reader.read_plan import identifier
from archdsl.blocks import Block, Drawn
from archdsl.blocks.branches import nested
from archdsl.blocks.chain import chain_shown
from archdsl.blocks.single_key import fields_of, keyed
from archdsl.errors import Fault, SpecError
from archdsl.graph import Graph
from archdsl.language import Clip
from archdsl.language.clip import CHANNELS
from archdsl.language.head import HEADS_BY_KEY
from archdsl.ops import key_of

MAIN = "main"
"""The only pathway."""
BEHIND = "top"
"""The stage of blocks in the module that the head is in."""
NUMBER_BEHIND = re.compile(r"_\d+$")


class DrawnUp(NamedTuple):
    """A spec as data, and what there is to say of it."""

    document: dict[str, Any]
    blocks: tuple[str, ...]
    """In words, those that follow each other counted."""
    drawn: tuple[str, ...]
    notes: tuple[str, ...]


def drawn_up(reading: ModuleReading) -> DrawnUp:
    """Stages of blocks and a head. Raises SpecError for steps that no op of ours is, several inputs or outputs."""
    graph = with_known_ops(reading.plan.graph)
    clip = only_clip(reading)
    if faults := [*unknown_steps(graph)]:
        raise SpecError(faults)
    reader = UnitReader(graph, common_momentum(reading.module))
    chains = BlockChains(graph, reader)
    place, dropout = head_dropout(reading.module)
    nodes = [address for address in graph.nodes if address != clip]
    head, parts = found_head(reader, series_of(graph, nodes, clip), dropout)
    found = chains.chain(parts, clip)
    stages = {name: chain_shown([one.block for one in blocks]) for name, blocks in staged(found)}
    used = {block.name for one in found for block in nested(one.block) if isinstance(block, Drawn)}
    drawn = {name: fields_of(one) for name, one in chains.drawings.items() if name in used}
    document = {
        "name": identifier(reading.name),
        "clip": clip_fields(reading.plan.arch.clips[clip]),
        **({"blocks": drawn} if drawn else {}),
        "pathways": {MAIN: {"stages": stages}},
        "head": keyed(head, HEADS_BY_KEY, "head"),
    }
    words = [(word, len([*run])) for word, run in groupby(block_word(one.block) for one in found)]
    said = tuple(f"{count} x {word}" if count > 1 else word for word, count in words)
    return DrawnUp(short_norms(document), said, tuple(drawn), training_notes(reading.module, {place}))


def only_clip(reading: ModuleReading) -> str:
    """The name of the only clip. Raises SpecError for several, and for several outputs."""
    plan = reading.plan
    for noun, names in (("inputs", [*plan.inputs]), ("outputs", [*plan.outputs])):
        if len(names) > 1:
            raise SpecError(
                f"a module of several {noun} that is no network of the zoo",
                got=f"{len(names)}: {', '.join(names)}",
                want=f"one of its {noun}; pathways and edges are written by hand",
                fix="--vs NAME, the network of the zoo that comes near: the differences say what to change",
            )
    return next(iter(plan.inputs))


def unknown_steps(graph: Graph) -> Iterator[Fault]:
    """Steps that no op of ours is."""
    for address, node in graph.nodes.items():
        if isinstance(node.op, ReadOp):
            reads = ", ".join(f"{tuple(graph.shapes[read])}" for read in node.reads)
            yield Fault(
                what=f"{node.op.word}: no op of ours is this step",
                at=address,
                got=f"{reads} -> {tuple(graph.shapes[address])}",
                want="a spec of known ops",
                fix="an op of your own in a spec in Python: see archdsl explain op",
            )


def staged(found: Sequence[FoundBlock]) -> Iterator[tuple[str, list[FoundBlock]]]:
    """Blocks by stage: the module of the first op of each; numbered modules of one block each are one stage."""
    alone = [(name, [*blocks]) for name, blocks in groupby(found, lambda one: stage_of_module(one.nodes[0]))]
    stems = {name: NUMBER_BEHIND.sub("", name) for name, _ in alone}
    several = {stems[name] for name, blocks in alone if len(blocks) > 1}
    names = [name if stems[name] in several else stems[name] for name, blocks in alone for _ in blocks]
    taken: set[str] = set()
    for name, run in groupby(zip(names, found), lambda one: one[0]):
        own, again = name, 2
        while own in taken:
            own, again = f"{name}_{again}", again + 1
        taken.add(own)
        yield own, [block for _, block in run]


def stage_of_module(address: str) -> str:
    """The stage that an address of a module's plan lies in."""
    first, *rest = address.split(".")
    return identifier(rest[0].lower()) if first != "head" and rest else BEHIND


def block_word(block: Block) -> str:
    """A block's name."""
    return block.name if isinstance(block, Drawn) else key_of(type(block))


def short_norms(data: Any) -> Any:
    """A norm that is its kind alone as that word."""
    if isinstance(data, list):
        return [short_norms(one) for one in data]
    if not isinstance(data, dict):
        return data
    alone = (key == "norm" and isinstance(one, dict) and [*one] == ["kind"] for key, one in data.items())
    return {key: one["kind"] if word else short_norms(one) for (key, one), word in zip(data.items(), alone)}


def clip_fields(clip: Clip) -> dict[str, Any]:
    """A clip as data; channels only where they are not its modality's."""
    fields = fields_of(clip)
    if fields.get("channels") == CHANNELS.get(clip.modality):
        fields.pop("channels", None)
    return fields


def common_momentum(module: nn.Module) -> float | None:
    """The momentum of all batch norms; None where they differ, and where there is none."""
    found = momenta(module)
    return found[0] if len(found) == 1 else None


def momenta(module: nn.Module) -> list[float]:
    """The momenta of batch norms."""
    return sorted({one.momentum for one in module.modules() if isinstance(one, _BatchNorm) and one.momentum})


def head_dropout(module: nn.Module) -> tuple[str, float]:
    """(path, share) of the dropout behind the last convolution, where that is one; else ("", 0)."""
    found: list[tuple[str, float]] = []
    layers = 0
    for path, one in module.named_modules():
        if isinstance(one, nn.modules.conv._ConvNd | _BatchNorm):
            found, layers = [], 0
        elif type(one).__name__ in DROPOUTS and drop_share(one):
            found.append((path, drop_share(one)))
            layers = min(layers, 1)
        else:
            layers += isinstance(one, nn.Linear)
    return found[0] if len(found) == 1 and layers < 3 else ("", 0.0)


DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "DropPath", "StochasticDepth")


def drop_share(module: nn.Module) -> float:
    """What a module drops in training."""
    found = getattr(module, "p", None) or getattr(module, "drop_prob", None) or 0.0
    return float(found) if isinstance(found, float | int) else 0.0


def training_notes(module: nn.Module, known: set[str]) -> tuple[str, ...]:
    """What a network does in training only, which its trace does not show."""
    found = [(path, one) for path, one in module.named_modules() if type(one).__name__ in DROPOUTS and drop_share(one)]
    left = [(path, one) for path, one in found if path not in known]
    notes = []
    if left:
        path, one = left[0]
        more = f", and {len(left) - 1} more" if len(left) > 1 else ""
        notes.append(f"left out: {type(one).__name__} of {drop_share(one):g} at {path}{more}, which acts in training")
    if len(rates := momenta(module)) > 1:
        notes.append(f"batch norms of momentum {', '.join(f'{rate:g}' for rate in rates)} have the default here")
    return tuple(notes)
