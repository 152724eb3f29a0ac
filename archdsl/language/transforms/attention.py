"""Transforms by which the target attends to the source."""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Norm, NormField
from archdsl.blocks.transformer import TransformerParts
from archdsl.graph import Builder
from archdsl.language.transforms.base import Transform
from archdsl.ops.multi_head import Over
from archdsl.spec.scalars import Count, Positive, Ratio, Share


class AttentiveLstm(Transform):
    """The target's words are read by an LSTM that attends to the source (arXiv:1502.03044).  (c', t', h', w') -> (c, t)

    State and cell start as tanh of what a layer makes of the source's mean; keys are of two layers over the source.
    After each word a layer each of the state and of what was attended to give c channels, as the target has: with
    `merge: sum` they are added to the word.
    """

    hidden: Count = Field(description="channels of the state")
    keys: Count = Field(512, description="channels of keys")
    gated: bool = Field(True, description="whether a number of the state multiplies what is attended to")

    def summary(self) -> tuple[str, ...]:
        return (f"LSTM of {self.hidden} that attends",)

    def build(self, g: Builder, x: str, target: str) -> str:
        c = g.shape(x).c

        def linear(name: str, y: str, channels: int) -> str:
            return g.add(name, ops.Linear(out_features=channels, init="default"), y)

        mean = g.add("mean", ops.AdaptiveAvgPool(), x)
        start = g.add("start_act", ops.Relu(), linear("start", mean, c))
        start = g.add("start_tanh", ops.Tanh(), linear("states", start, 2 * self.hidden))
        keys = linear("keys", g.add("key_tanh", ops.Tanh(), linear("key_in", x, c)), self.keys)
        y = g.add("scan", ops.AttendScan(gated=self.gated), linear("terms", target, 4 * self.hidden), start, keys, x)
        states = g.add("state", ops.TakeChannels(start=0, count=self.hidden), y)
        attended = g.add("attended", ops.TakeChannels(start=self.hidden, count=c), y)
        width = g.shape(target).c
        return g.add("said", ops.Add(), linear("of_state", states, width), linear("of_attended", attended, width))


class AttentiveGru(Transform):
    """The target's words are read by a GRU that attends to the source (arXiv:1409.0473).  -> (hidden + c', t, 1, 1)

    The state starts as tanh of a layer over what the source's first frame says in the last half of its channels, which
    is what has read it backwards. Given are the state after each word and what was attended to: with `merge: concat`
    they stand behind the word.
    """

    hidden: Count = Field(description="channels of the state")
    keys: Count = Field(description="channels of keys")

    def summary(self) -> tuple[str, ...]:
        return (f"GRU of {self.hidden} that attends",)

    def build(self, g: Builder, x: str, target: str) -> str:
        c = g.shape(x).c
        back = g.add("back", ops.TakeChannels(start=c // 2, count=c - c // 2), x)
        first = g.add("first", ops.TakeEvery(step=g.shape(x).t), back)
        start = g.add("start", ops.Linear(out_features=self.hidden, init="default"), first)
        start = g.add("start_tanh", ops.Tanh(), start)
        terms = g.add("terms", ops.Linear(out_features=3 * self.hidden, init="default"), target)
        keys = g.add("keys", ops.Linear(out_features=self.keys, bias=False, init="default"), x)
        return g.add("scan", ops.AttendGruScan(), terms, start, keys, x)


class Glimpses(Transform):
    """Means of the source where the target, one vector, asks it to look (arXiv:1704.03162).  -> (count c', 1, 1, 1)

    A 1x1 convolution without a bias of the source and a linear layer of the target are summed; behind a ReLU a second
    convolution scores each position for each mean. With `merge: prepend` the means stand before the target's channels.
    """

    channels: Count = Field(512, description="channels of the sum")
    count: Count = Field(2, description="how many means")
    dropout: Share = Field(0.5, description="share of elements dropped in front of each of the three layers")

    def summary(self) -> tuple[str, ...]:
        return (f"{self.count} glimpses",)

    def build(self, g: Builder, x: str, target: str) -> str:
        def dropped(name: str, y: str) -> str:
            return g.add(name, ops.Dropout(p=self.dropout), y) if self.dropout else y

        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), init="xavier")
        seen = g.add("seen", conv, dropped("seen_dropout", x))
        linear = ops.Linear(out_features=self.channels, init="xavier")
        asked = g.add("asked", linear, dropped("asked_dropout", target))
        y = g.add("act", ops.Relu(), g.add("both", ops.StretchedAdd(), seen, asked))
        conv = ops.Conv(out_channels=self.count, kernel=(1, 1, 1), bias=True, init="xavier")
        return g.add("glimpses", ops.SoftPool(), g.add("scores", conv, dropped("dropout", y)), x)


class CrossAttention(Transform):
    """Every position of the target reads the source's.  (c', t', h', w', k') -> (c, t, h, w, k), as the target has them

    Queries are of the target, keys and values of the source, each normalised before; a linear layer follows, which
    starts at 0. A value that several edges into stages of one name read is normalised once (arXiv:2201.04288).
    With `merge: sum` what is read is added to the target.
    """

    heads: Count = Field(description="heads of the attention, which is as wide as the target")
    over: Over = Field("thw", description="axes along which positions read each other; along others each is alone")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")
    bias: bool = Field(True, description="whether queries, keys and values have biases")
    fused: bool = Field(
        False, description="attention by torch's scaled_dot_product_attention, which fvcore does not see"
    )

    def summary(self) -> tuple[str, ...]:
        return (f"read over {self.over}, {self.heads} heads",)

    def build(self, g: Builder, x: str, target: str) -> str:
        c = g.shape(target).c
        query, keys = self.normed(g, "query_norm", target), self.normed(g, "norm", x)
        reads = [
            g.add(name, ops.Linear(out_features=c, bias=self.bias, init="trunc_normal"), y)
            for name, y in (("query", query), ("key", keys), ("value", keys))
        ]
        attention = ops.Attention(heads=self.heads, over=self.over, fused=self.fused)
        y = g.add("attention", attention, *reads)
        return g.add("out", ops.Linear(out_features=c, init="zeros"), y)

    def normed(self, g: Builder, name: str, x: str) -> str:
        """The value normalised: by the norm of an edge into a stage of this name that reads it too, if there is one."""
        edges = g.path.rpartition(".")[0]
        for address, node in g.nodes.items():
            norm = isinstance(node.op, ops.LayerNorm | ops.RmsNorm | ops.BatchNorm | ops.GroupNorm)
            if norm and node.reads == (x,) and address.startswith(f"{edges}."):
                return address
        return self.norm.add(g, name, x)


class CrossTransformer(Transform):
    """What the target's positions read of the source's, layer by layer.  (c, t', h', w') -> that of the target

    Each layer is an attention of the target to the normalised source, then a perceptron. Merge it with a sum.
    """

    heads: Count = Field(description="heads of each attention")
    layers: Count = Field(1, description="how many layers")
    mlp: Ratio = Field(Fraction(4), description="hidden channels of the perceptron, in channels")
    act: Act = Field("gelu", description="activation of the perceptron")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")
    bias: bool = Field(True, description="biases of queries, keys and values")
    scale: Positive | None = Field(None, description="start of a learnt scale for each channel of the result")

    def build(self, g: Builder, x: str, target: str) -> str:
        parts = TransformerParts(heads=self.heads, mlp=self.mlp, act=self.act, norm=self.norm, bias=self.bias)
        y, read = target, self.norm.add(g, "norm", x)
        for i in range(self.layers):
            with g.inside(f"layer{i + 1}", "CrossTransformer"):
                y = parts.around(g, "attend", "Attention", y, lambda query: self.attended(g, parts, query, read))
                y = parts.perceptron(g, y)
        return g.add("scale", ops.LayerScale(start=self.scale), y) if self.scale else y

    def attended(self, g: Builder, parts: TransformerParts, query: str, read: str) -> str:
        """Attention of the queries to what is read, and the linear layer behind it."""
        c = g.shape(query).c
        y = g.add("attention", ops.Attention(heads=self.heads), *parts.projections(g, read, c, query))
        return parts.linear(g, "out", y, c)
