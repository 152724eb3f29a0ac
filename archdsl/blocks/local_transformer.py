"""Transformer blocks whose attention is a convolution, and positions by convolution (arXiv:2201.04676, section 3)."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import POINT, Act, Block, Norm, NormField, add_act
from archdsl.graph import UNKNOWN, Builder
from archdsl.spec.scalars import Ratio, Share, Sizes


def add_conv(
    g: Builder, name: str, x: str, channels: int, kernel: ops.Triple = POINT, *, depthwise: bool = False
) -> str:
    """A convolution with bias that keeps the size."""
    groups = channels if depthwise else 1
    conv = ops.Conv(out_channels=channels, kernel=kernel, groups=groups, bias=True, init="default")
    return g.add(name, conv, x)


class PositionConv(Block):
    """A depthwise convolution added to what it reads: positions that follow from the map.  (c, t, h, w) -> the same"""

    kernel: Sizes = Field((3, 3, 3), description="window (t, h, w)")

    def build(self, g: Builder, x: str) -> str:
        return g.add("sum", ops.Add(), x, add_conv(g, "conv", x, g.shape(x).c, self.kernel, depthwise=True))


class LocalTransformer(Block):
    """A depthwise convolution between two linear ones, and a perceptron, each added to what it reads.

    (c, t, h, w) -> (c, t, h, w)
    """

    kernel: Sizes = Field((5, 5, 5), description="window (t, h, w)")
    mlp: Ratio = Field(4, validate_default=True, description="hidden channels of the perceptron, in channels")
    act: Act = Field("gelu", description="activation of the perceptron")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps")
    drop_path: Share | None = Field(None, description="probability that a branch is dropped; see a pathway's drop_path")

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"local {'×'.join(map(str, self.kernel))}", f"mlp {int(channels * self.mlp)}"

    def build(self, g: Builder, x: str) -> str:
        return self.perceptron(g, self.local(g, x))

    def local(self, g: Builder, x: str) -> str:
        """Linear, depthwise, linear."""
        c, y = g.shape(x).c, UNKNOWN
        with g.inside("local", "Local"):
            y = add_conv(g, "enter", self.norm.add(g, "norm", x), c)
            y = add_conv(g, "depthwise", y, c, self.kernel, depthwise=True)
            y = self.ended(g, add_conv(g, "out", y, c))
        return g.add("local_sum", ops.Add(), x, y)

    def perceptron(self, g: Builder, x: str) -> str:
        """To the hidden channels and back."""
        c, y = g.shape(x).c, UNKNOWN
        with g.inside("mlp", "Mlp"):
            y = add_conv(g, "up", self.norm.add(g, "norm", x), int(c * self.mlp))
            y = self.ended(g, add_conv(g, "down", add_act(g, "act", self.act, y), c))
        return g.add("mlp_sum", ops.Add(), x, y)

    def ended(self, g: Builder, y: str) -> str:
        """The end of a branch, dropped at random."""
        return g.add("drop_path", ops.DropPath(p=self.drop_path), y) if self.drop_path is not None else y
