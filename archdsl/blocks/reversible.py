"""Reversible transformers: two streams, each of which is told what the other says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from archdsl.blocks.base import Block
from archdsl.blocks.branches import JOINS
from archdsl.blocks.chain import Chain
from archdsl.blocks.transformer import TransformerParts
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder


class Reversible(Block):
    """Transformers between two streams, both the map at first: y1 = x1 + attention(x2), y2 = x2 + perceptron(y1).

    What enters each block can be worked out from what leaves it (Reversible Vision Transformers, CVPR 2022, section
    3.1). (c, t, h, w, k) -> (2 c, t, h, w, k) for concat, (c, t, h, w, k) for sum and average
    """

    blocks: Chain = Field(min_length=1, description="transformer or pooled_transformer, any number of them")
    merge: Literal["concat", "sum", "average"] = Field("average", description="both streams as one: how")

    def within(self) -> Iterator[Block]:
        yield from self.blocks

    def summary(self, channels: int) -> tuple[str, ...]:
        width = channels // 2 if self.merge == "concat" else channels
        times = f" ×{len(self.blocks)}" * (len(self.blocks) > 1)
        return (f"two streams{times}, {self.merge}", *self.blocks[0].summary(width))

    def build(self, g: Builder, x: str) -> str:
        first = second = x
        for i, block in enumerate(self.blocks):
            if not isinstance(block, TransformerParts):
                what = f"two streams through {type(block).__name__}"
                raise SpecError(what, got=type(block).__name__, want="transformer or pooled_transformer")
            ends = UNKNOWN, UNKNOWN
            with g.inside(str(i), type(block).__name__, written=block.written):
                ends = block.two_streams(g, first, second)
            first, second = ends
        return g.add("merge", JOINS[self.merge], first, second)
