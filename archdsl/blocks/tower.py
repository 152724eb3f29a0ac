"""A tower that looks as far along time as a segment of one length reaches (TAL-Net, arXiv:1804.07667)."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.graph import Builder
from archdsl.spec.scalars import Count


class SegmentTower(Block):
    """Two kernels of 3 along time, dilated by a sixth and a third of `scale`.  (c, t, h, w) -> (channels, t, h, w)

    With 1 + 2 s/6 + 2 s/3 = 1 + s they see one segment of that length; with `context` twice as much. Rates are rounded
    up. Before each kernel the largest of as many elements as the first rate, so that none is passed over.
    """

    scale: Count = Field(description="length of the segment, in elements of the map")
    channels: Width = Field(256, description="output channels of both kernels")
    context: bool = Field(False, description="both rates doubled: half a segment more on both sides")

    def build(self, g: Builder, x: str) -> str:
        reach = self.scale * (2 if self.context else 1)
        window, rates = -(-reach // 6), (-(-reach // 6), -(-reach // 3))
        side = (window - 1) // 2, window // 2
        # an even window leans to one side: the second leans back
        for name, rate, pad in zip(("near", "far"), rates, (side, side[::-1])):
            pool = ops.MaxPool(kernel=(window, 1, 1), pad=(pad, (0, 0), (0, 0)))
            x = g.add(f"smooth_{name}", pool, x)
            conv = ops.Conv(out_channels=self.channels, kernel=(3, 1, 1), dilation=(rate, 1, 1), bias=True)
            x = g.add(f"relu_{name}", ops.Relu(), g.add(name, conv, x))
        return x
