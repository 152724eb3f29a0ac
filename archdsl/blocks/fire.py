"""The fire module (arXiv:1602.07360): few channels squeezed by 1x1, then expanded by 1x1 and 3x3 side by side."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.graph import Builder


class Fire(Block):
    """squeeze 1x1x1, then half of `channels` by 1x1x1 and half by 1x3x3.  (c, t, h, w) -> (channels, t, h, w)"""

    squeeze: Width = Field(description="channels between")
    channels: Width = Field(description="output channels, an even number")

    def build(self, g: Builder, x: str) -> str:
        def conv(name: str, channels: int, kernel: int, x: str) -> str:
            op = ops.Conv(out_channels=channels, kernel=(1, kernel, kernel), bias=True, init="xavier")
            return g.add(f"{name}_act", ops.Relu(), g.add(name, op, x))

        small = self.channels // 2
        y = conv("squeeze", self.squeeze, 1, x)
        left, right = conv("expand_1x1", small, 1, y), conv("expand_3x3", self.channels - small, 3, y)
        return g.add("beside", ops.Concat(), left, right)
