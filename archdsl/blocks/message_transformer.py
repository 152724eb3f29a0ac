"""Transformer blocks of X-CLIP (arXiv:2208.02816, section 3.2): frames that send each other messages."""

from __future__ import annotations

from archdsl import ops
from archdsl.blocks.transformer import TransformerParts
from archdsl.graph import Builder
from archdsl.ops.multi_head import Over


class MessageTransformer(TransformerParts):
    """Frames attend each to itself and to a message, then a perceptron.  (c, t, r, 1) -> (c, t, r, 1)

    A frame's message is a linear layer of the first token in its row; messages attend to those of all frames. It stands
    in front of the row for one attention.
    """

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"frames with messages, {self.heads} heads", self.perceptron_text(channels)

    def build(self, g: Builder, x: str) -> str:
        sent = self.linear(g, "message", g.add("first", ops.FrameToken(), x), g.shape(x).c)
        sent = self.around(g, "exchange", "Attention", sent, lambda y: self.attended(g, y, "t"))
        with_message = g.add("with_message", ops.JoinRows(), sent, x)
        y = self.around(g, "attend", "Attention", with_message, lambda y: self.attended(g, y, "hw"))
        return self.perceptron(g, g.add("without_message", ops.TakeRows(start=1), y))

    def attended(self, g: Builder, x: str, over: Over) -> str:
        """Queries, keys and values, attention, and the linear layer behind it."""
        c = g.shape(x).c
        reads = self.projections(g, x, c)
        y = g.add("attention", ops.Attention(heads=self.heads, over=over, fused=self.fused), *reads)
        return self.ended(g, self.linear(g, "out", y, c))
