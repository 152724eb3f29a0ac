"""What brings a source's map into the target's time and width, on an edge or where pathways meet."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, WithJsonSchema

from archdsl import ops
from archdsl.blocks.base import Act, Norm, NormField, add_act, widened
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.single_key import keyed, kinds_by_key, unkeyed
from archdsl.blocks.transformer import TransformerParts
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.ops.multi_head import Over
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Positive, Ratio, Share, Whole


class Transform(Written):
    """What brings a source's map into the target's time and width. `build` sees both."""

    def summary(self) -> tuple[str, ...]:
        """Lines that tell of it in drawings; by default none: its ops do."""
        return ()

    def build(self, g: Builder, x: str, target: str) -> str:
        """Add ops that read `x`; give the address of the result."""
        raise SpecError(
            f"{type(self).__name__} has no build",
            written=self.written,
            want="a method that adds ops",
            fix="def build(self, g, x, target): ...",
        )


def ratio_of_steps(g: Builder, fine: str, coarse: str) -> int:
    """alpha: how many elements of `fine` fall on one of `coarse`, from their places in time."""
    a, b = g.grid(fine), g.grid(coarse)
    ratio = b.t.step / a.t.step * (b.tick / a.tick if a.tick and b.tick else 1)
    if ratio.denominator != 1 or ratio < 1:
        raise SpecError(
            "time steps of the pathways are not a whole ratio",
            got=f"one element every {a.t.step} and every {b.t.step} frames",
            want="the slower step a multiple of the faster",
        )
    return ratio.numerator


class Convolved(Transform):
    """Fields of a transform that convolves in time."""

    kernel: Count = Field(5, description="temporal kernel")
    width: Ratio = Field(Fraction(2), description="output channels as a multiple of the source's, rounded down")
    alpha: Count | None = Field(None, description="temporal stride; by default the ratio of the pathways' time steps")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")
    act: Act = Field("relu", description="activation, or none")
    bias: bool = Field(False, description="whether the convolution has a bias")

    def finished(self, g: Builder, conv: str) -> str:
        """Norm and activation after the convolution."""
        return add_act(g, "act", self.act, self.norm.add(g, "norm", conv))


class TimeConv(Convolved):
    """T-conv of SlowFast: kernel x 1 x 1 at temporal stride alpha.  (c, alpha t, h, w) -> (width c, t, h, w)"""

    def build(self, g: Builder, x: str, target: str) -> str:
        alpha = self.alpha or ratio_of_steps(g, x, target)
        channels = widened(g.shape(x).c, self.width, "floor")
        kernel, stride = (self.kernel, 1, 1), (alpha, 1, 1)
        conv = ops.Conv(out_channels=channels, kernel=kernel, stride=stride, bias=self.bias)
        return self.finished(g, g.add("conv", conv, x))


class TimeDeconv(Convolved):
    """The way back: a transposed kernel x 1 x 1 at stride alpha.  (c, t, h, w) -> (width c, alpha t, h, w)"""

    def build(self, g: Builder, x: str, target: str) -> str:
        alpha = self.alpha or ratio_of_steps(g, target, x)
        channels = widened(g.shape(x).c, self.width, "floor")
        pad = max(self.kernel - 1, 0) // 2
        extra = alpha - self.kernel + 2 * pad
        if not 0 <= extra < max(alpha, 1):
            raise SpecError(
                "an even kernel that changes the number of frames",
                got=f"kernel {self.kernel}, alpha {alpha}",
                want="an odd kernel",
            )
        conv = ops.TransposedConv(
            out_channels=channels,
            kernel=(self.kernel, 1, 1),
            stride=(alpha, 1, 1),
            pad=(pad, 0, 0),
            extra=(extra, 0, 0),
            bias=self.bias,
        )
        return self.finished(g, g.add("conv", conv, x))


class TimeToChannels(Transform):
    """TtoC of SlowFast: alpha frames packed into channels.  (c, alpha t, h, w) -> (alpha c, t, h, w)"""

    alpha: Count | None = Field(None, description="frames in a pack; by default the ratio of the pathways' time steps")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("pack", ops.TimeToChannels(factor=self.alpha or ratio_of_steps(g, x, target)), x)


class TimeSample(Transform):
    """T-sample of SlowFast: one of every alpha frames.  (c, alpha t, h, w) -> (c, t, h, w)"""

    alpha: Count | None = Field(None, description="take every n-th; by default the ratio of the pathways' time steps")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("take", ops.TakeEvery(step=self.alpha or ratio_of_steps(g, x, target)), x)


class TimeRepeat(Transform):
    """Each frame, or the whole sequence, alpha times.  (c, t, h, w) -> (c, alpha t, h, w)"""

    alpha: Count | None = Field(None, description="how often; by default the ratio of the pathways' time steps")
    whole: bool = Field(False, description="whether all frames come again and again, instead of each in a row")

    def build(self, g: Builder, x: str, target: str) -> str:
        times = self.alpha or ratio_of_steps(g, target, x)
        return g.add("repeat", ops.RepeatFrames(times=times, whole=self.whole), x)


class ResizeTo(Transform):
    """Interpolation to the target's height and width.  (c, t, h, w) -> (c, t', h', w')"""

    mode: Literal["nearest", "trilinear"] = Field("nearest", description="nearest or trilinear")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("resize", ops.ResizeTo(mode=self.mode, onto=True), x, target)


class CropTo(Transform):
    """Cut to the target's height and width, of `thw` to its frames too.  (c, t, h, w) -> (c, t, h', w')"""

    offset: Whole | Literal["middle"] = Field(
        "middle", description="rows and columns left out before what is taken, or middle: as many as behind"
    )
    over: Literal["hw", "thw"] = Field("hw", description="axes: hw or thw")

    def build(self, g: Builder, x: str, target: str) -> str:
        return g.add("crop", ops.CropTo(over=self.over, offset=self.offset), x, target)


class Through(Transform):
    """Blocks that the source passes through, one after the other.  (c, t, h, w) -> whatever they write"""

    blocks: Chain = Field(min_length=1, description="blocks in order")

    def summary(self) -> tuple[str, ...]:
        told = [block.summary(0) for block in self.blocks]
        return tuple(line for lines in told for line in lines) if all(told) else ()

    def build(self, g: Builder, x: str, target: str) -> str:
        return add_chain(g, "through", self.blocks, x)


class Fit(Transform):
    """What brings a cell's output to another's size and width (NASNet, arXiv:1707.07012, Appendix A.4).

    ReLU, a 1x1x1 convolution and a norm; nothing where the width is right. Where the target is half as large, two
    convolutions at stride 2, one of them a pixel on, give half of the channels each.
    """

    channels: Count = Field(description="output channels")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")

    def build(self, g: Builder, x: str, target: str) -> str:
        halves = g.shape(target)[2:] != g.shape(x)[2:]
        if not halves and g.shape(x).c == self.channels:
            return x
        x = g.add("relu", ops.Relu(), x)
        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=self.norm.kind == "none")
        if not halves:
            return self.norm.add(g, "norm", g.add("conv", conv, x))
        here = replace(conv, out_channels=self.channels // 2, stride=(1, 2, 2))
        on = replace(here, out_channels=self.channels - self.channels // 2, pad=((0, 0), (-1, 1), (-1, 1)))
        y = g.add("join", ops.Concat(), g.add("conv_here", here, x), g.add("conv_on", on, x))
        return self.norm.add(g, "norm", y)


class Warp(Transform):
    """What the target has of key frames, moved to the frames between by a flow that is read off the source.

    (c', t, h, w) -> (c, t, h, w). A 3x3 convolution gives the flow, `by` times as long, in elements of the map; each
    element is read where the flow points, and multiplied by a second convolution's, 1x1, which starts as 1
    everywhere (Deep Feature Flow, arXiv:1611.07715).
    """

    by: Ratio = Field(Fraction(1), description="the number the flow is multiplied by")
    scale: bool = Field(True, description="whether what is moved is multiplied, too")

    def build(self, g: Builder, x: str, target: str) -> str:
        flow = g.add("flow", ops.Conv(out_channels=2, kernel=(1, 3, 3), bias=True), x)
        flow = g.add("by", ops.Affine(scale=float(self.by)), flow) if self.by != 1 else flow
        y = g.add("warp", ops.Warp(), g.add("hold", ops.HoldKeys(), target, x), flow)
        if not self.scale:
            return y
        conv = ops.Conv(out_channels=g.shape(target).c, kernel=(1, 1, 1), bias=True, init="zeros", bias_start=1.0)
        return g.add("product", ops.Mul(), y, g.add("scale", conv, x))


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


TRANSFORMS: tuple[type[Transform], ...] = (
    TimeConv,
    TimeDeconv,
    TimeToChannels,
    TimeSample,
    TimeRepeat,
    ResizeTo,
    CropTo,
    Through,
    Fit,
    Warp,
    AttentiveLstm,
    AttentiveGru,
    Glimpses,
    CrossAttention,
    CrossTransformer,
)
TRANSFORMS_BY_KEY = kinds_by_key(TRANSFORMS)


def unfolded(data: Any) -> Any:
    """One transform or a list of them, by name or made."""
    items = data if isinstance(data, list | tuple) else [data]
    return tuple(unkeyed(item, TRANSFORMS_BY_KEY, "transform") for item in items)


def folded(transforms: tuple[Transform, ...]) -> Any:
    """The inverse: one transform stands alone."""
    items = [keyed(transform, TRANSFORMS_BY_KEY, "transform") for transform in transforms]
    return items[0] if len(items) == 1 else items


Transforms = Annotated[
    tuple[SerializeAsAny[Transform], ...],
    BeforeValidator(unfolded),
    PlainSerializer(folded),
    WithJsonSchema({"x-archdsl": "Transforms"}),
]
