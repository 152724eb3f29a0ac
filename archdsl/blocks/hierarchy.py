"""Res2Net (arXiv:1904.01169): within a bottleneck, channels in parts that pass on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import add_act
from archdsl.blocks.motion import time_conv
from archdsl.blocks.residual import Bottleneck
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Count


class Res2Bottleneck(Bottleneck):
    """A bottleneck whose middle kernel is several small ones: each part of the channels is added to the result before.

    y1 = K1(x1), yi = Ki(xi + y(i-1)), the last part passes as it is (Figure 2b).
    (c, t, h, w) -> (channels, t', h', w')
    """

    first_only: ClassVar[tuple[str, ...]] = ("stride", "stride_t", "apart")

    parts: Count = Field(4, description="parts of the channels (the paper's scale s)")
    time_kernel: Count = Field(1, description="a kernel in time for each channel of each part, the last part too (TEA)")
    apart: bool = Field(False, description="no part hears of another, the last is pooled: the first block of a stage")

    def middle(self, g: Builder, conv_b: ops.Conv, y: str) -> str:
        width = conv_b.out_channels // self.parts
        if width * self.parts != conv_b.out_channels or self.parts < 2:
            got = f"{conv_b.out_channels} channels, parts={self.parts}"
            raise SpecError(
                "channels not divisible by parts",
                got=got,
                want=f"at least 2 parts, channels a multiple of {self.parts}",
            )
        kernel = replace(conv_b, out_channels=width)
        ends: list[str] = []
        for i in range(self.parts - 1):
            x = g.add(f"part_{i}", ops.TakeChannels(start=i * width, count=width), y)
            x = x if self.apart or not ends else g.add(f"sum_{i}", ops.Add(), x, ends[-1])
            x = self.in_time(g, i, "identity", x)
            x = self.norm.add(g, f"norm_b{i}", g.add(f"conv_b{i}", kernel, x))
            ends.append(add_act(g, f"act_b{i}", self.act, x))
        last = g.add(f"part_{self.parts - 1}", ops.TakeChannels(start=(self.parts - 1) * width, count=width), y)
        last = self.in_time(g, self.parts - 1, "swap", last)
        if self.apart:
            last = g.add("pool", ops.AvgPool(kernel=conv_b.kernel, stride=conv_b.stride), last)
        return g.add("join", ops.Concat(), *ends, last)

    def in_time(self, g: Builder, i: int, init: Literal["identity", "swap"], x: str) -> str:
        """One part, convolved in time."""
        return x if self.time_kernel == 1 else g.add(f"time_{i}", time_conv(g.shape(x).c, self.time_kernel, init), x)
