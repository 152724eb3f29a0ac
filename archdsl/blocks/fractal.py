"""FractalNet (arXiv:1605.07648): columns of growing depth that meet in means, by one rule applied again and again."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Width, add_act
from archdsl.graph import Builder
from archdsl.spec.budget import MOST_COLUMNS
from archdsl.spec.scalars import Count, Share, Sizes


class Fractal(Block):
    """`columns` of 1, 2, 4... convolutions; wherever several end together, their mean goes on (Figure 1).

    With `pool` each column halves its map before the last mean.  (c, t, h, w) -> (channels, t, h/2, w/2)
    """

    channels: Width = Field(description="output channels of every convolution")
    columns: Count = Field(le=MOST_COLUMNS, description="columns; the deepest has 2^(columns - 1) convolutions")
    kernel: Sizes = Field((1, 3, 3), description="window (t, h, w)")
    pool: bool = Field(True, description="a 2x2 max pool at the end of every column")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    bias: bool = Field(True, description="whether convolutions have a bias")
    dropout: Share = Field(0.0, description="share of a convolution's elements dropped in training")
    drop_path: Share = Field(0.15, description="probability that a mean leaves out one of its inputs in training")

    def build(self, g: Builder, x: str) -> str:
        ends = [x] * self.columns
        depth = 2 ** (self.columns - 1)
        for step in range(1, depth + 1):
            meeting = [c for c in range(self.columns) if step % (depth >> c) == 0]
            for c in meeting:
                ends[c] = self.convolved(g, f"c{c}_{step * (1 << c) // depth - 1}", ends[c])
            if step == depth and self.pool:
                pool = ops.MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2))
                ends = [g.add(f"pool_{c}", pool, end) for c, end in enumerate(ends)]
            if len(meeting) > 1:
                mean = g.add(f"mean_{step}", ops.MeanJoin(drop=self.drop_path), *(ends[c] for c in meeting))
                ends = [mean if c in meeting else end for c, end in enumerate(ends)]
        return ends[-1]

    def convolved(self, g: Builder, name: str, x: str) -> str:
        """Convolution, dropout, norm, ReLU."""
        conv = ops.Conv(out_channels=self.channels, kernel=self.kernel, bias=self.bias, init="xavier")
        y = g.add(f"conv_{name}", conv, x)
        y = g.add(f"dropout_{name}", ops.Dropout(p=self.dropout), y) if self.dropout else y
        return add_act(g, f"act_{name}", "relu", self.norm.add(g, f"norm_{name}", y))
