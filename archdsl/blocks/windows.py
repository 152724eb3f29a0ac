"""Transformer blocks within windows, and the merge of patches between their stages (arXiv:2106.13230)."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Width
from archdsl.blocks.transformer import TransformerParts
from archdsl.graph import Builder
from archdsl.ops.windows import fitted
from archdsl.spec.scalars import Sizes


class WindowTransformer(TransformerParts):
    """Attention within windows and a perceptron, each added to what it reads.  (c, t, h, w) -> (c, t, h, w)

    Of a `repeat` every second one shifts its windows by half. A map that windows do not part is padded with zeros
    behind the norm and cut again. Along an axis no longer than the window there is one, without shift.
    """

    window: Sizes = Field(description="window (t, h, w)")
    shift: bool = Field(False, description="whether the windows are shifted by half of their size")
    table: bool = Field(True, description="a learnt number for each head and step from key to query")
    norm: NormField = Field(Norm(kind="layer"), description="layer, rms, none, or a mapping with eps")

    def again(self) -> Self:
        return super().again().but(shift=not self.shift)

    def build(self, g: Builder, x: str) -> str:
        return self.perceptron(g, self.around(g, "attend", "Attention", x, lambda y: self.attended(g, y)))

    def attended(self, g: Builder, x: str) -> str:
        """Queries, keys and values of the padded map, attention, the linear layer behind it."""
        c = g.shape(x).c
        parted = all(n % size == 0 for n, size in zip(g.shape(x)[1:], fitted(self.window, g.shape(x))))
        y = x if parted else g.add("pad", ops.PadWindows(size=self.window), x)
        t, h, w = self.window
        shift = (t // 2, h // 2, w // 2) if self.shift else (0, 0, 0)
        attention = ops.WindowAttention(
            heads=self.heads, size=self.window, shift=shift, bias=self.table, fused=self.fused
        )
        y = self.linear(g, "out", g.add("attention", attention, *self.projections(g, y, c)), c)
        return self.ended(g, y if parted else g.add("crop", ops.CropTo(over="thw"), y, x))


class MergePatches(Block):
    """Each square of 2 x 2 positions into one of twice the channels.  (c, t, h, w) -> (channels, t, h/2, w/2)"""

    channels: Width | None = Field(None, description="output channels; by default twice those that enter")
    norm: NormField = Field(Norm(kind="layer"), description="norm of the squares: layer, none, ...")

    def build(self, g: Builder, x: str) -> str:
        y = self.norm.add(g, "norm", g.add("squares", ops.SpaceToChannels(side=2), x))
        channels = self.channels or 2 * g.shape(x).c
        return g.add("linear", ops.Linear(out_features=channels, bias=False, init="trunc_normal"), y)
