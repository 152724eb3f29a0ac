"""A learnt query that pools a map by attention (arXiv:2205.01917, section 3.2; V-JEPA 2's probe)."""

from __future__ import annotations

from archdsl import ops
from archdsl.blocks.transformer import TransformerParts
from archdsl.graph import Builder


class AttentivePool(TransformerParts):
    """A learnt query reads all positions, then a perceptron.  (c, t, h, w, k) -> (c, 1, 1, 1)

    Keys and values are of the normalised map; the query is not normalised, and no linear layer follows the attention.
    """

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"attention of a learnt query, {self.heads} heads", self.perceptron_text(channels)

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        query = g.add("query", ops.Queries(), x)
        with g.inside("attend", "Attention"):
            y = self.norm.add(g, "norm", x) if self.norm_at == "pre" else x
            reads = self.projections(g, y, c, query)
            y = self.ended(g, g.add("attention", ops.Attention(heads=self.heads, fused=self.fused), *reads))
        y = self.perceptron(g, self.summed(g, "attend", query, y))
        return g.add("token", ops.TakeToken(), y)
