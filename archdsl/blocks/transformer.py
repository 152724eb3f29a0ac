"""Transformer blocks: one attention after the other, then a perceptron of two layers, each around a shortcut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.adapter import Adapter
from archdsl.blocks.attend import Attend, Attends
from archdsl.blocks.base import Act, Block, Norm, NormField, add_act
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.masks import Turned
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops.multi_head import Over, fitting_heads
from archdsl.spec.scalars import Count, Positive, Ratio, Share


class TransformerParts(Block):
    """Fields and parts that transformer blocks share."""

    heads: Count = Field(description="heads of each attention")
    mlp: Ratio = Field(4, validate_default=True, description="hidden channels of the perceptron, in channels")
    act: Act = Field("gelu", description="activation of the perceptron")
    gated: bool = Field(False, description="whether a second layer gates the hidden channels (SwiGLU with act: silu)")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")
    norm_at: Literal["pre", "post"] = Field(
        "pre", description="norms in front of each branch (pre) or behind each sum (post)"
    )
    bias: bool | Literal["qv"] = Field(True, description="biases of queries, keys and values; qv: none of keys")
    init: Literal["trunc_normal", "xavier"] = Field(
        "trunc_normal",
        description="how weights of linear layers start: at 0.02 times normal numbers, or by the widths before and "
        "behind (xavier), as masked autoencoders and narrow networks need it",
    )
    dropout: Share = Field(0.0, description="share of elements dropped behind each linear layer")
    layer_scale: Positive | None = Field(None, description="start of a learnt scale for each channel of a branch")
    drop_path: Share | None = Field(None, description="probability that a branch is dropped; see a pathway's drop_path")
    fused: bool = Field(
        False, description="attention by torch's scaled_dot_product_attention, which fvcore does not see"
    )

    def around(self, g: Builder, name: str, kind: str, x: str, branch: Any, onto: str | None = None) -> str:
        """A branch of x, added to x or `onto` another map: norm, branch, scale and drop path under one name."""
        y = UNKNOWN
        with g.inside(name, kind):
            y = self.norm.add(g, "norm", x) if self.norm_at == "pre" else x
            y = branch(y)
        return self.summed(g, name, onto or x, y)

    def two_streams(self, g: Builder, first: str, second: str) -> tuple[str, str]:
        """The attention of the second map added to the first, then the perceptron of this added to the second."""
        what, want = f"two streams through {type(self).__name__}", "transformer or pooled_transformer"
        raise SpecError(what, got=type(self).__name__, want=want)

    def ended(self, g: Builder, y: str) -> str:
        """The end of a branch: dropout, learnt scale, drop path."""
        y = g.add("dropout", ops.Dropout(p=self.dropout), y) if self.dropout else y
        y = g.add("scale", ops.LayerScale(start=self.layer_scale), y) if self.layer_scale else y
        return g.add("drop_path", ops.DropPath(p=self.drop_path), y) if self.drop_path is not None else y

    def summed(self, g: Builder, name: str, x: str, y: str) -> str:
        """Shortcut and branch."""
        y = g.add(f"{name}_sum", ops.Add(), x, y)
        return self.norm.add(g, f"{name}_norm", y) if self.norm_at == "post" else y

    def linear(self, g: Builder, name: str, x: str, channels: int, bias: bool = True) -> str:
        """A linear layer as transformers start it."""
        return g.add(name, ops.Linear(out_features=channels, bias=bias, init=self.init), x)

    def projections(
        self, g: Builder, x: str, channels: int, query: str | None = None, *, prefix: str = ""
    ) -> list[str]:
        """Queries, keys and values of x; queries of `query` where it is given."""
        return self.linears(g, (query or x, x, x), channels, prefix)

    def linears(self, g: Builder, reads: Sequence[str], channels: int, prefix: str = "") -> list[str]:
        """The linear layers of queries, keys and values, each of its own map."""
        biases = (True, False, True) if self.bias == "qv" else (self.bias,) * 3
        names = (f"{prefix}query", f"{prefix}key", f"{prefix}value")
        return [self.linear(g, name, y, channels, bool(bias)) for name, y, bias in zip(names, reads, biases)]

    def perceptron(self, g: Builder, x: str, onto: str | None = None) -> str:
        """Two linear layers, or three with a gate, and an activation."""
        return self.around(g, "mlp", "Mlp", x, lambda y: self.ended(g, self.hidden(g, y, g.shape(x).c)), onto)

    def perceptron_text(self, channels: int) -> str:
        """The perceptron in drawings and tables."""
        return f"{'gated ' * self.gated}mlp {int(channels * self.mlp)}"

    def hidden(self, g: Builder, x: str, channels: int) -> str:
        """To the hidden channels, and from these to the given ones."""
        inner = int(g.shape(x).c * self.mlp)
        y = self.linear(g, "up", x, inner)
        if self.gated:
            y = g.add("product", ops.Mul(), add_act(g, "act", self.act, self.linear(g, "gate", x, inner)), y)
        else:
            y = add_act(g, "act", self.act, y)
        y = g.add("act_dropout", ops.Dropout(p=self.dropout), y) if self.dropout else y
        return self.linear(g, "down", y, channels)


class Transformer(TransformerParts):
    """Attentions in turn and a perceptron, each added to what it reads.  (c, t, h, w, k) -> (c, t, h, w, k)

    Over `thw` tokens beside the map attend with it. Over `hw` each frame gets copies of them, of whose results they get
    the mean (arXiv:2102.05095); over other axes they go round.
    """

    attend: Attends = Field(
        (Attend(),), description="axes of each attention in turn: [thw], [t, hw] or {over: t, linear: true}"
    )

    rotary: bool | Turned = Field(
        False,
        description="whether queries and keys are turned by their positions in time, height and width, or by which",
    )

    qk_norm: NormField = Field(
        Norm(kind="none"), description="norm of queries and of keys, over all heads: none, layer, rms, or a mapping"
    )
    cap: Positive | None = Field(None, description="what scaled products stay below: cap tanh(product / cap)")
    before: Chain = Field((), description="blocks in front of the attention, shortcuts and all")
    between: Chain = Field((), description="blocks between the attention and the perceptron")
    beside: Chain = Field((), description="blocks beside the perceptron, added to what it gives")

    @model_validator(mode="after")
    def _one_to_share(self) -> Self:
        own = [one for one in self.attend if not one.shared]
        if len(own) != 1 and len(own) != len(self.attend):
            what, got = "not one attention whose weights are shared", f"{len(own)} with weights of their own"
            raise SpecError(what, at="attend", got=got, want="one, and others with shared: true")
        return self

    def within(self) -> Iterator[Block]:
        yield from (*self.before, *self.between, *self.beside)
        for one in self.attend:
            yield from (*one.before, *one.after)

    def summary(self, channels: int) -> tuple[str, ...]:
        attends = [f"attention over {' and '.join(one.axes)}, {self.heads} heads" for one in self.attend]
        before, between = (
            [line for one in blocks for line in one.summary(channels)] for blocks in (self.before, self.between)
        )
        adapters = sum(isinstance(block, Adapter) for block in self.within())
        adapted = (f"{adapters} adapter{'s' * (adapters > 1)}",) if adapters else ()
        return (*before, *attends, *between, self.perceptron_text(channels), *adapted)

    def build(self, g: Builder, x: str) -> str:
        x = add_chain(g, "before", self.before, x)
        names = [one.name for one in self.attend if not one.shared]
        for i, one in enumerate(self.attend):
            again = f"_{names[:i].count(one.name) + 1}" if one.name in names[:i] else ""
            name = "attend" if len(names) == 1 and not one.shared else f"attend_{one.name}{again}"
            x = self.sharing_attention(g, one, name, x) if one.shared else self.attention(g, one, name, x)
        return self.perceptron(g, add_chain(g, "between", self.between, x))

    def two_streams(self, g: Builder, first: str, second: str) -> tuple[str, str]:
        (one, *others) = self.attend
        if others or one.over != "thw" or self.before or self.between or self.norm_at == "post":
            what, want = "two streams through a transformer of another form", "one attention over thw, norms first"
            raise SpecError(what, got=", ".join(self.summary(g.shape(second).c)), want=want)
        first = self.around(g, "attend", "Attention", second, lambda y: self.heads_of(g, one, y), first)
        return first, self.perceptron(g, first, second)

    def perceptron(self, g: Builder, x: str, onto: str | None = None) -> str:
        """The perceptron, and what stands beside it."""
        if not self.beside:
            return super().perceptron(g, x, onto)
        return self.around(g, "mlp", "Mlp", x, lambda y: self.with_beside(g, y), onto)

    def with_beside(self, g: Builder, x: str) -> str:
        """The sum of the perceptron and of what stands beside it, both of the normalised map."""
        y = self.ended(g, self.hidden(g, x, g.shape(x).c))
        return g.add("beside_sum", ops.Add(), y, add_chain(g, "beside", self.beside, x))

    def sharing_attention(self, g: Builder, one: Attend, name: str, x: str) -> str:
        """One attention with the norm and the linear layers of the block's other one, which lie in `attend`."""
        if g.shape(x).extra:
            what, got = "shared weights of an attention beside tokens", f"{g.shape(x)}"
            raise SpecError(what, got=got, want="a map alone", fix="frame_rows before it")
        if self.rotary or len(one.axes) > 1 or one.linear:
            what, got = "shared weights of an attention of another form", "rotary, linear, or several axes at once"
            raise SpecError(what, got=got, want="one attention over some axes", fix="rotary: false")
        with g.borrowing(name, "attend"):
            y = self.norm.add(g, f"{name}_norm", x) if self.norm_at == "pre" else x
        y = add_chain(g, f"{name}_before", one.before, y)
        with g.borrowing(name, "attend"):
            reads = self.projections(g, y, g.shape(x).c, prefix=f"{name}_")
            for i, part in enumerate(("query", "key")):
                reads[i] = self.qk_norm.add(g, f"{name}_{part}_norm", reads[i])
        y = g.add(f"{name}_attention", self.op(one, one.axes[0], self.heads), *reads)
        with g.borrowing(name, "attend"):
            y = self.linear(g, f"{name}_out", y, g.shape(x).c)
        return g.add(f"{name}_sum", ops.Add(), x, add_chain(g, f"{name}_after", one.after, y))

    def attention(self, g: Builder, one: Attend, name: str, x: str) -> str:
        """One attention around its shortcut."""
        tokens = g.shape(x).extra if x != UNKNOWN else 0
        if not tokens or one.over == "thw":
            return self.around(g, name, "Attention", x, lambda y: self.heads_of(g, one, y))
        if one.over == "hw":
            if self.rotary:
                what, got = "rotary positions in frames with copies of tokens", f"{g.shape(x)}, over: hw"
                raise SpecError(what, got=got, want="a map alone, or attention over all axes", fix="attend: thw")
            y = UNKNOWN
            with g.inside(name, "Attention"):
                y = g.add("rows", ops.FrameRows(), x)
                y = self.norm.add(g, "norm", y) if self.norm_at == "pre" else y
                y = g.add("map", ops.FromFrameRows(), self.heads_of(g, one, y), x)
            return self.summed(g, name, x, y)
        y = g.add(f"{name}_map", ops.TakeMap(), x)
        y = self.around(g, name, "Attention", y, lambda z: self.heads_of(g, one, z))
        return g.add(f"{name}_join", ops.JoinTokens(), g.add(f"{name}_tokens", ops.TakeTokens(), x), y)

    def heads_of(self, g: Builder, one: Attend, x: str) -> str:
        """Queries, keys, values, attention, and the linear layers behind it."""
        c = g.shape(x).c
        reads = self.projections(g, add_chain(g, "before", one.before, x), c)
        for i, name in enumerate(("query", "key")):
            reads[i] = self.qk_norm.add(g, f"{name}_norm", reads[i])
        if self.rotary:
            turned = Turned() if self.rotary is True else self.rotary
            reads[:2] = [turned.add(g, name, self.heads, x) for name, x in zip(("query", "key"), reads)]
        y = (
            self.parts(g, one, reads)
            if len(one.axes) > 1
            else g.add("attention", self.op(one, one.axes[0], self.heads), *reads)
        )
        y = self.ended(g, self.linear(g, "out", y, c))
        y = g.add("linear", ops.Linear(out_features=c, init="zeros"), y) if one.linear else y
        return add_chain(g, "after", one.after, y)

    def op(self, one: Attend, over: Over, heads: int) -> ops.Op:
        """The attention over some axes."""
        if one.frames is not None:
            if self.cap is not None:
                what, got = "capped products of frames so far", f"cap: {self.cap}, frames: {one.frames}"
                raise SpecError(what, got=got, want="one of them", fix="cap: null")
            return ops.CausalAttention(heads=heads, over=over, frames=one.frames, fused=self.fused)
        return ops.Attention(heads=heads, over=over, fused=self.fused, cap=self.cap)

    def parts(self, g: Builder, one: Attend, reads: list[str]) -> str:
        """Equal parts of the heads, each over its own axes, side by side."""
        n, channels = len(one.axes), g.shape(reads[0]).c
        fix = f"heads: {n * fitting_heads(channels // n, self.heads // n + 1)}" if channels % n == 0 else None
        if self.heads % n:
            what = "heads that do not divide among the axes"
            raise SpecError(what, got=f"heads: {self.heads}, {n} axes", want=f"a multiple of {n}", fix=fix)
        if channels % self.heads:
            what, got = "channels not divisible by heads", f"{channels}, heads={self.heads}"
            raise SpecError(what, got=got, want=f"a multiple of {self.heads}", fix=fix)
        width = channels // n
        ends = []
        for i, over in enumerate(one.axes):
            take = ops.TakeChannels(start=i * width, count=width)
            part = [g.add(f"{name}_{over}", take, x) for name, x in zip(("query", "key", "value"), reads)]
            ends.append(g.add(f"attention_{over}", self.op(one, over, self.heads // n), *part))
        return g.add("beside", ops.Concat(), *ends)


class Perceptron(Block):
    """Norm, two linear layers with an activation between them, added to what they read.  (c, t, h, w, k) -> the same"""

    mlp: Ratio = Field(4, validate_default=True, description="hidden channels, in channels")
    act: Act = Field("gelu", description="activation of the hidden channels")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")
    dropout: Share = Field(0.0, description="share of hidden elements dropped")
    zero_init: bool = Field(False, description="whether the second layer starts at 0")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        up = ops.Linear(out_features=int(c * self.mlp), init="trunc_normal")
        y = add_act(g, "act", self.act, g.add("up", up, self.norm.add(g, "norm", x)))
        y = g.add("dropout", ops.Dropout(p=self.dropout), y) if self.dropout else y
        down = ops.Linear(out_features=c, init="zeros" if self.zero_init else "trunc_normal")
        return g.add("sum", ops.Add(), x, g.add("down", down, y))
