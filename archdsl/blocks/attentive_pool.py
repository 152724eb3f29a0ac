"""Queries that pool a map by attention: a learnt one (arXiv:2205.01917, section 3.2; V-JEPA 2's probe), the mean."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Width
from archdsl.blocks.transformer import TransformerParts
from archdsl.graph import Builder
from archdsl.spec.scalars import Count


class AttentivePool(TransformerParts):
    """A learnt query reads all positions, then a perceptron.  (c, t, h, w, k) -> (c, 1, 1, 1)

    Keys and values are of the normalised map; the query is not normalised, and by default no linear layer follows the
    attention.
    """

    out: bool = Field(False, description="whether a linear layer follows the attention")
    residual: bool = Field(True, description="whether the query is added to what it reads")

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"attention of a learnt query, {self.heads} heads", self.perceptron_text(channels)

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        query = g.add("query", ops.Queries(), x)
        with g.inside("attend", "Attention"):
            y = self.norm.add(g, "norm", x) if self.norm_at == "pre" else x
            reads = self.projections(g, y, c, query)
            y = g.add("attention", ops.Attention(heads=self.heads, fused=self.fused), *reads)
            y = self.ended(g, self.linear(g, "out", y, c) if self.out else y)
        y = self.perceptron(g, self.summed(g, "attend", query, y) if self.residual else y)
        return g.add("token", ops.TakeToken(), y)


class MeanQueryPool(Block):
    """The mean of all positions reads them, each of the three normalised apart.  (c, t, h, w, k) -> (channels, 1, 1, 1)

    Queries, keys and values as wide as the map, a linear layer to `channels`; nothing is added (InternVideo2,
    arXiv:2403.15377).
    """

    channels: Width = Field(description="output channels")
    heads: Count = Field(description="heads of the attention")
    norm: NormField = Field(Norm(kind="layer"), description="layer, rms, none, or a mapping with eps")

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"attention of the mean, {self.heads} heads", f"linear {self.channels}"

    def build(self, g: Builder, x: str) -> str:
        c, mean = g.shape(x).c, g.add("mean", ops.TokenMean(), x)
        reads = []
        for name, value in (("query", mean), ("key", x), ("value", x)):
            y = self.norm.add(g, f"{name}_norm", value)
            reads.append(g.add(name, ops.Linear(out_features=c, init="trunc_normal"), y))
        y = g.add("attention", ops.Attention(heads=self.heads), *reads)
        return g.add("out", ops.Linear(out_features=self.channels, init="trunc_normal"), y)
