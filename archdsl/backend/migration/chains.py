"""Parts of a graph as blocks: known ones where the ops are theirs, else branches, else a block drawn of ops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple

from archdsl import ops
from archdsl.backend.migration.block_forms import (
    Forms,
    conv_form,
    factored_form,
    inverted_forms,
    patches_form,
    residual_forms,
)
from archdsl.backend.migration.likeness import block_is_there
from archdsl.backend.migration.regions import ParallelPart, PartSeries, SeriesPart, last_of, nodes_of_part
from archdsl.backend.migration.units import ConvUnit, UnitReader
from archdsl.backend.reader.read_plan import NET
from archdsl.blocks import (
    AvgPool,
    Block,
    Branches,
    ClassToken,
    Drawing,
    Drawn,
    Flatten,
    GlobalPool,
    LayerNorm,
    Linear,
    MaxPool,
    Mean,
    NormAct,
    Positions,
    Transformer,
)
from archdsl.blocks.base import POINT
from archdsl.blocks.step_fields import OPS_BY_KEY, blocks_by_key
from archdsl.errors import SpecError
from archdsl.graph import Graph
from archdsl.ops import Op, key_of

JOIN_WORDS: dict[type[Op], str] = {ops.Add: "sum", ops.Concat: "concat", ops.Average: "average"}
MOST_DRAWN_OPS = 40
"""Ops of a part that is drawn as a whole where some of it must be."""


class FoundBlock(NamedTuple):
    """A block, and the ops that it stands for."""

    block: Block
    nodes: tuple[str, ...]


@dataclass
class BlockChains:
    """Blocks of parts of a graph."""

    graph: Graph
    reader: UnitReader
    drawings: dict[str, Drawing] = field(default_factory=dict)
    """Blocks that are drawn of ops, by name."""

    def chain(self, parts: PartSeries, entry: str) -> list[FoundBlock]:
        """The blocks of parts in a row."""
        found: list[FoundBlock] = []
        rest = list(parts)
        while rest:
            block, count = self.first_block(rest, entry)
            if found and (again := self.again(found[-1].block, entry, last_of(rest[count - 1]))):
                block = again
            taken, rest = rest[:count], rest[count:]
            found.append(FoundBlock(block, tuple(node for part in taken for node in nodes_of_part(part))))
            entry = last_of(taken[-1])
        return found

    def first_block(self, parts: Sequence[SeriesPart], entry: str) -> tuple[Block, int]:
        """(the block that parts begin with, how many of them it is)."""
        for block, count in self.choices(parts, entry):
            if block_is_there(block, self.graph, entry, last_of(parts[count - 1])):
                return block, count
        return self.drawn(parts[0], entry), 1

    def again(self, block: Block, entry: str, end: str) -> Block | None:
        """The block before once more, where that is what stands between two values: it is written as a repeat."""
        more = None if isinstance(block, Drawn) else block.again()
        return more if more is not None and block_is_there(more, self.graph, entry, end) else None

    def choices(self, parts: Sequence[SeriesPart], entry: str) -> Iterator[tuple[Block, int]]:
        """Blocks that parts may begin with, each with how many of them it would be; the largest first."""
        part = parts[0]
        if isinstance(part, ParallelPart):
            yield from self.transformers(parts, entry)
            yield from self.joined(parts, entry)
        elif isinstance(part, str):
            yield from self.layers(parts)
            yield from self.convolutions(parts)
            yield from self.single(parts, part)

    def convolutions(self, parts: Sequence[SeriesPart]) -> Iterator[tuple[Block, int]]:
        """Convolutions: inverted residuals without a shortcut, (2+1)D, plain."""
        found: list[ConvUnit] = []
        ends = [0]
        while len(found) < 3 and ends[-1] < len(parts):
            unit, count = self.reader.unit(parts[ends[-1] :])
            if unit is None:
                break
            found.append(unit)
            ends.append(ends[-1] + count)
        for count in (3, 2):
            units = found[:count]
            if len(units) == count and units[-2].groups == "depthwise" and units[-1].act == "none":
                yield from with_count(inverted_forms(units), ends[count])
        if len(found) > 1 and is_factored(found[0], found[1]):
            yield from with_count(factored_form(found[0], found[1]), ends[2])
        if found and found[0].act == "none" and found[0].conv.kernel == found[0].conv.stride != POINT:
            yield from with_count(patches_form(found[0]), ends[1])
        if found and not found[0].gate:
            late = bool(found[0].late_gate)
            yield from with_count(conv_form(found[0]), ends[1] - late)
        if found:  # what follows is no part of it
            alone = ConvUnit(found[0].conv, found[0].channels_in)
            yield from with_count(conv_form(alone), 1)

    def layers(self, parts: Sequence[SeriesPart]) -> Iterator[tuple[Block, int]]:
        """A layer of what has one position."""
        op = self.reader.op(parts[0])
        if isinstance(op, ops.Linear) and self.graph.shapes[str(parts[0])].positions == 1:
            act, n = self.reader.act(parts[1:])
            chosen: Any = {"act": act}
            yield Linear(channels=op.out_features, bias=op.bias, **chosen), 1 + n

    def single(self, parts: Sequence[SeriesPart], part: str) -> Iterator[tuple[Block, int]]:
        """Blocks of one op."""
        op = self.graph.nodes[part].op
        norm, n = self.reader.norm(parts)
        act, m = self.reader.act(parts[n:])
        if norm and norm.kind == "layer" and act == "none":
            yield LayerNorm(eps=norm.eps), 1
        if n + m:
            chosen: Any = {"norm": norm or "none", "act": act}
            yield NormAct(**chosen), n + m
        match op:
            case ops.MaxPool():
                yield MaxPool(**window_fields_of(op)), 1
            case ops.AvgPool():
                yield AvgPool(**window_fields_of(op), count_pad=op.count_pad), 1
            case ops.Mean() | ops.AdaptiveAvgPool() if self.graph.shapes[part].positions == 1:
                yield GlobalPool(), 1
            case ops.Mean(over=over) if over in ("t", "h", "w", "hw"):
                yield Mean(over=over), 1
            case ops.Flatten():
                yield Flatten(), 1
            case ops.LearntTokens(count=count):
                yield ClassToken(count=count), 1
            case ops.Positions(over=over):
                yield Positions(over=over), 1

    def joined(self, parts: Sequence[SeriesPart], entry: str) -> Iterator[tuple[Block, int]]:
        """A part whose branches are joined, with or without the activation behind it."""
        part = parts[0]
        assert isinstance(part, ParallelPart)
        word = JOIN_WORDS.get(type(self.graph.nodes[part.join].op))
        if word is None:
            return
        act, n = self.reader.act(parts[1:])
        if word == "sum" and len(part.branches) == 2:
            for branch, shortcut in (part.branches, part.branches[::-1]):
                yield from self.residuals(branch, shortcut, act, 1 + n, entry)
        before = dict(self.drawings)
        chains = {f"b{i}": self.chain_blocks(branch, entry) for i, branch in enumerate(part.branches)}
        drawn = any(isinstance(block, Drawn) for chain in chains.values() for block in chain)
        if drawn and len(nodes_of_part(part)) <= MOST_DRAWN_OPS:
            self.drawings = before
        else:
            yield Branches(branches=chains, merge=word, act=act), 1 + n

    def residuals(
        self, branch: PartSeries, shortcut: PartSeries, act: str, count: int, entry: str
    ) -> Iterator[tuple[Block, int]]:
        """Residual blocks of a branch and a shortcut."""
        units = self.reader.units(branch)
        beside = self.reader.units(shortcut)
        if not units or (shortcut and beside and len(units) < len(beside)):
            return
        plain = not shortcut or (beside and len(beside) == 1 and beside[0].point)
        chain = () if plain else self.chain_blocks(shortcut, entry)
        yield from with_count(residual_forms(units, act, chain), count)

    def transformers(self, parts: Sequence[SeriesPart], entry: str) -> Iterator[tuple[Block, int]]:
        """An attention and a perceptron, each around a shortcut."""
        if len(parts) < 2 or not isinstance(parts[1], ParallelPart):
            return
        nodes = [self.graph.nodes[node] for part in parts[:2] for node in nodes_of_part(part)]
        attention = next((node.op for node in nodes if isinstance(node.op, ops.Attention)), None)
        linear = [(node.op, self.graph.shapes[node.reads[0]].c) for node in nodes if isinstance(node.op, ops.Linear)]
        norms = [node.op for node in nodes if isinstance(node.op, ops.LayerNorm)]
        acts = [word for node in nodes for word in [self.reader.act([node.address])[0]] if word != "none"]
        if attention is None or len(linear) != 6 or not norms or not acts:
            return
        up, width = linear[-2]
        biases = [op.bias for op, _ in linear[:3]]
        given: Any = {"heads": attention.heads, "act": acts[-1], "norm": {"kind": "layer", "eps": norms[0].eps}}
        given |= {} if up.out_features == 4 * width else {"mlp": f"{up.out_features}/{width}"}
        given |= {} if all(biases) else {"bias": "qv" if any(biases) else False}
        yield Transformer(**given), 2

    def chain_blocks(self, parts: PartSeries, entry: str) -> tuple[Block, ...]:
        """The blocks alone."""
        return tuple(found.block for found in self.chain(parts, entry))

    def drawn(self, part: SeriesPart, entry: str) -> Block:
        """A part as a block drawn of its ops."""
        steps: dict[str, Any] = {}
        names = {entry: "input"}
        nodes = nodes_of_part(part)
        for address in nodes:
            node = self.graph.nodes[address]
            name = step_name(address, node.op, steps)
            names[address] = name
            reads = [names[read] for read in node.reads]
            before = next(reversed(steps), "input")
            steps[name] = {key_of(type(node.op)): fields_of_op(node.op)} | (
                {} if reads == [before] else {"reads": reads}
            )
        drawing = Drawing(steps=steps)
        same = (name for name, one in self.drawings.items() if one == drawing)
        stem = nodes[-1].split(".")[1] if nodes[-1].startswith(f"{NET}.") else "drawn"
        name = next(same, None) or unused_name(f"{stem.lower()}_block", {*self.drawings, *OPS_BY_KEY, *blocks_by_key()})
        self.drawings[name] = drawing
        return Drawn(name=name)


def with_count(forms: Forms, count: int) -> Iterator[tuple[Block, int]]:
    """Those that can be, each with how many parts it would be."""
    for kind, given in forms:
        try:
            yield kind(**given), count
        except SpecError:
            continue


def is_factored(first: ConvUnit, second: ConvUnit) -> bool:
    """Whether two units are the factors of one kernel."""
    (t, h, w), (s, k, m) = first.conv.kernel, second.conv.kernel
    apart = (t == 1 and (k, m) == (1, 1) and max(h, w) > 1 < s) or ((h, w) == (1, 1) and s == 1 and max(k, m) > 1 < t)
    return apart and first.act == second.act and first.norm == second.norm and first.conv.groups == 1


def window_fields_of(op: ops.MaxPool | ops.AvgPool) -> dict[str, Any]:
    """The fields of a pool."""
    pad = op.pad
    if pad == tuple((k - 1) // 2 for k in op.kernel):
        pad = "same"
    return {"kernel": op.kernel, "stride": op.stride, "pad": "valid" if pad == (0, 0, 0) else pad, "ceil": op.ceil}


def fields_of_op(op: Op) -> dict[str, Any]:
    """The fields of an op that are not at their defaults, as data."""
    needed_first = sorted(fields(op), key=lambda one: one.default is not MISSING)
    plain = ((one.name, getattr(op, one.name), one.default) for one in needed_first)
    return {name: list(value) if isinstance(value, tuple) else value for name, value, start in plain if value != start}


def step_name(address: str, op: Op, taken: Iterable[str]) -> str:
    """A step's name: the last of its address."""
    name = address.rpartition(".")[2].lower()
    return unused_name(name if name.isidentifier() else key_of(type(op)), taken)


def unused_name(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken yet."""
    known = {*taken, "input"}
    return next(one for one in (name, *(f"{name}_{i}" for i in range(2, 9999))) if one not in known)
