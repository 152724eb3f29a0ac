"""(2+1)D (arXiv:1711.11248): a space-time kernel as a kernel in space and one in time, with a norm and ReLU between."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Norm, NormField, Width, add_act
from archdsl.blocks.chain import add_chain
from archdsl.blocks.residual import Basic, Bottleneck
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Sizes

Order = Literal["space_first", "time_first"]


def equal_width(kernel: ops.Triple, read: int, write: int) -> int:
    """Channels between the factors that give them together the weights of the full kernel, rounded down."""
    in_space = kernel[1] * kernel[2]
    return max(prod(kernel) * read * write // (in_space * read + kernel[0] * write), 1)


def add_factored(g: Builder, name: str, conv: ops.Conv, x: str, middle: int, order: Order, norm: Norm, act: Act) -> str:
    """`conv` as two convolutions with `middle` channels between; each strides along its own axes."""
    (kt, kh, kw), (st, sh, sw), (dt, dh, dw) = conv.kernel, conv.stride, conv.dilation
    space = replace(conv, kernel=(1, kh, kw), stride=(1, sh, sw), dilation=(1, dh, dw))
    time = replace(conv, kernel=(kt, 1, 1), stride=(st, 1, 1), dilation=(dt, 1, 1))
    factors = [("space", space), ("time", time)]
    (first, one), (second, two) = factors if order == "space_first" else factors[::-1]
    y = g.add(f"{name}_{first}", replace(one, out_channels=middle), x)
    y = add_act(g, f"{name}_act", act, norm.add(g, f"{name}_norm", y))
    return g.add(f"{name}_{second}", two, y)


class TwoPlusOne(Block):
    """1 x k x k, norm, activation, k x 1 x 1, norm, activation.  (c, t, h, w) -> (channels, t', h', w')"""

    channels: Width = Field(description="output channels")
    middle: Width | None = Field(
        None, description="channels between the factors; by default as many weights as the full kernel"
    )
    kernel: Sizes = Field((3, 3, 3), description="window (t, h, w) of the full kernel")
    stride: Sizes = Field((1, 1, 1), description="stride (t, h, w); each factor strides along its own axes")
    order: Order = Field("space_first", description="space_first or time_first")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation")

    def build(self, g: Builder, x: str) -> str:
        conv = ops.Conv(
            out_channels=self.channels, kernel=self.kernel, stride=self.stride, bias=self.norm.kind == "none"
        )
        middle = self.middle or equal_width(self.kernel, g.shape(x).c, self.channels)
        y = add_factored(g, "conv", conv, x, middle, self.order, self.norm, self.act)
        return add_act(g, "act", self.act, self.norm.add(g, "norm", y))


class FactorizedBasic(Basic):
    """Two (2+1)D convolutions.  (c, t, h, w) -> (channels, t', h', w')

    The paper and VMZ choose the middle width for each convolution, torchvision once for a block, from its input.
    """

    middle_from: Literal["conv", "block"] = Field("conv", description="what sets the middle width: conv or block")
    order: Order = Field("space_first", description="space_first or time_first")

    def build(self, g: Builder, x: str) -> str:
        if self.groups != 1:
            raise SpecError(
                "factors of unequal widths cannot be grouped", got=f"groups: {self.groups}", want="groups: 1"
            )
        kernel, d = (self.kernel_t, 3, 3), (1, self.dilation, self.dilation)
        stride = (self.stride_t, self.stride, self.stride)
        first = equal_width(kernel, g.shape(x).c, self.channels)
        second = first if self.middle_from == "block" else equal_width(kernel, self.channels, self.channels)
        conv = ops.Conv(out_channels=self.channels, kernel=kernel, dilation=d, bias=self.biased)
        y = add_chain(g, "before", self.before, x)
        y = add_factored(g, "conv_a", replace(conv, stride=stride), y, first, self.order, self.norm, self.act)
        y = add_act(g, "act_a", self.act, self.norm.add(g, "norm_a", y))
        y = add_chain(g, "between", self.between, y)
        y = add_factored(g, "conv_b", conv, y, second, self.order, self.norm, self.act)
        return self.joined(g, self.norm.add(g, "norm_b", y, zero_init=self.zero_init), x)


class FactorizedBottleneck(Bottleneck):
    """A bottleneck whose middle kernel is (2+1)D.  (c, t, h, w) -> (channels, t', h', w')"""

    kernel: Sizes = Field((3, 3, 3), description="middle window (t, h, w) of the full kernel")
    middle_from: Literal["conv", "output"] = Field(
        "conv",
        description="width between the factors: conv, as many weights as the full kernel, or output, what they write",
    )
    order: Order = Field("space_first", description="space_first or time_first")

    def middle(self, g: Builder, conv_b: ops.Conv, y: str) -> str:
        inner = conv_b.out_channels
        middle = inner if self.middle_from == "output" else equal_width(conv_b.kernel, g.shape(y).c, inner)
        y = add_factored(g, "conv_b", conv_b, y, middle, self.order, self.norm, self.act)
        return add_act(g, "act_b", self.act, self.norm.add(g, "norm_b", y))
