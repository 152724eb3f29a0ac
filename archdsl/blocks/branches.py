"""Chains of blocks side by side: Inception, split and shuffled units, anything that parts and joins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.base import Act, Block, Rounding, Width, add_act
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.fixes import LONGEST_FIX, flow_yaml
from archdsl.spec.scalars import Count, Whole

JOINS: dict[str, ops.Op] = {
    "concat": ops.Concat(),
    "sum": ops.Add(),
    "average": ops.Average(),
    "product": ops.Mul(),
    "max": ops.Maximum(),
}
RESERVED_NAMES = ("join", "act")


class Branches(Block):
    """Chains of blocks that read one map, their results joined. A branch without blocks is the map itself.

    (c, t, h, w) -> (c1 + c2 + ..., t', h', w') for concat, (c', t', h', w') for sum, average, product and max
    """

    branches: dict[Name, Chain] = Field(min_length=1, description="chains of blocks by name")
    merge: Literal["concat", "sum", "average", "product", "max"] = Field(
        "concat", description="concat, sum, average, max, or product: of two, the second may be one factor of a channel"
    )
    fit: Literal["none", "enlarge"] = Field(
        "none", description="enlarge: results smaller than the largest become as large, linearly"
    )
    act: Act = Field("none", description="activation after the join")

    @model_validator(mode="before")
    @classmethod
    def _within_branches(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data and not set(data) & set(cls.model_fields):
            raise SpecError(
                "branches that do not stand within `branches:`",
                got=", ".join(map(str, data)),
                want="the block's field `branches`, and chains of blocks by name in it",
                fix=fix if len(fix := f"branches: {{branches: {flow_yaml(data)}}}") <= LONGEST_FIX else None,
            )
        return data

    @model_validator(mode="after")
    def _names_free(self) -> Self:
        for name in set(self.branches) & set(RESERVED_NAMES):
            raise SpecError(
                f"a branch named {name!r}", got=name, want=f"another name than {' and '.join(RESERVED_NAMES)}"
            )
        return self

    def build(self, g: Builder, x: str) -> str:
        ends = [add_chain(g, name, blocks, x) for name, blocks in self.branches.items()]
        ends = self.fitted(g, ends) if self.fit == "enlarge" else ends
        y = ends[0] if len(ends) == 1 else g.add("join", JOINS[self.merge], *ends)
        return add_act(g, "act", self.act, y)

    def fitted(self, g: Builder, ends: list[str]) -> list[str]:
        """Results of one size."""
        largest = max(ends, key=lambda y: g.shape(y).positions)
        resize = ops.ResizeTo(mode="trilinear", onto=True)
        return [
            y if g.shape(y)[1:] == g.shape(largest)[1:] else g.add(f"enlarge_{name}", resize, y, largest)
            for name, y in zip(self.branches, ends)
        ]

    def within(self) -> Iterator[Block]:
        """The blocks of all branches."""
        for blocks in self.branches.values():
            yield from blocks

    def remade(self, remake: Callable[[Block], tuple[Block, ...]]) -> Self:
        """The same branches with each block replaced by some."""
        changed = {name: tuple(new for old in blocks for new in remake(old)) for name, blocks in self.branches.items()}
        return self if changed == self.branches else self.but(branches=changed)

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Self:
        return self.remade(lambda block: (block.scaled(ratio, rounding),))


class ChannelPart(Block):
    """One of several equal parts of the channels.  (c, t, h, w) -> (c / of, t, h, w)"""

    index: Whole = Field(description="which part, from 0")
    of: Count = Field(2, description="how many parts")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        if c % self.of or self.index >= self.of:
            got = f"part {self.index} of {self.of}, {c} channels"
            raise SpecError("channels not divisible into these parts", got=got, want="equal parts, numbered from 0")
        return g.add("part", ops.TakeChannels(start=self.index * (c // self.of), count=c // self.of), x)


class PadChannels(Block):
    """Channels of zeros behind the map's own.  (c, t, h, w) -> (channels, t, h, w)"""

    channels: Width = Field(description="output channels")

    def build(self, g: Builder, x: str) -> str:
        return g.add("pad", ops.PadChannels(channels=self.channels), x)


class ChannelShuffle(Block):
    """The channels of several groups dealt out in turn (arXiv:1707.01083).  (c, t, h, w) -> (c, t, h, w)"""

    groups: Count = Field(description="groups of channels")

    def build(self, g: Builder, x: str) -> str:
        return g.add("shuffle", ops.ChannelShuffle(groups=self.groups), x)


class FeatureGate(Block):
    """Channels weighted by what all of time and space says of them (S3D-G, arXiv:1712.04851, section 5.2).

    x * sigmoid(W mean(x)), W without bias.  (c, t, h, w) -> (c, t, h, w)
    """

    def build(self, g: Builder, x: str) -> str:
        y = g.add("mean", ops.AdaptiveAvgPool(), x)
        y = g.add("weigh", ops.Conv(out_channels=g.shape(x).c, kernel=(1, 1, 1), init="normal"), y)
        return g.add("product", ops.Mul(), x, g.add("gate", ops.Sigmoid(), y))


def nested(block: Block) -> Iterator[Block]:
    """A block and all blocks within it."""
    yield block
    for inner in block.within():
        yield from nested(inner)


def remade(blocks: tuple[Block, ...], remake: Callable[[Any], tuple[Block, ...]]) -> tuple[Block, ...]:
    """Each block replaced by some, those within branches too: what rewrites are made of."""
    made: list[Block] = []
    for block in blocks:
        made += (block.remade(lambda b: remade((b,), remake)),) if isinstance(block, Branches) else remake(block)
    return tuple(made)
