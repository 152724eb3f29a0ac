"""Convolutions whose maps each read some of the channels, as a table says (LeNet-5's third layer)."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Pad, Rounding, add_act
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Sizes, Whole

LENET = (
    *[tuple((i + j) % 6 for j in range(3)) for i in range(6)],
    *[tuple((i + j) % 6 for j in range(4)) for i in range(6)],
    *[(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)],
    tuple(range(6)),
)
"""Table I of LeCun et al. 1998: which of the six maps each of sixteen reads."""


class TableConv(Block):
    """One small convolution per map, the maps side by side.  (c, t, h, w) -> (rows of the table, t', h', w')"""

    table: Annotated[tuple[tuple[Whole, ...], ...], Field(min_length=2)] = Field(
        LENET, description="for each map written, the channels it reads; by default LeNet-5's table"
    )
    kernel: Sizes = Field((1, 5, 5), description="window (t, h, w)")
    pad: Pad = Field("valid", description="same (floor-symmetric), valid, tf_same, or numbers per axis")
    act: Act = Field("scaled_tanh", description="activation, or none")

    def build(self, g: Builder, x: str) -> str:
        one = ops.Conv(out_channels=1, kernel=self.kernel, pad=self.pad, bias=True, init="default")
        maps = []
        for i, row in enumerate(self.table):
            maps.append(g.add(f"map{i}", one, g.add(f"read{i}", ops.PickChannels(channels=row), x)))
        return add_act(g, "act", self.act, g.add("maps", ops.Concat(), *maps))

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Self:
        if ratio == 1:
            return self
        raise SpecError("width_ratio over a table of channels", written=self.written, got=str(ratio), want="1")
