"""The transformer block of multiscale vision transformers, whose queries, keys and values are pooled apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.base import POINT, Width
from archdsl.blocks.transformer import TransformerParts
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import Triple
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Sizes, Whole


class Remembered(Written):
    """What an attention remembers of the clips before, which the next clips of a stream read."""

    clips: Whole = Field(2, description="clips that are read; 0 for none")
    gap: Count = Field(1, description="clips from one that is read to the next")
    kernel: Sizes = Field((1, 1, 1), description="window of the convolution that compresses them")
    stride: Sizes = Field((1, 1, 1), description="its stride; with 1 and a window of 1 nothing is compressed")
    read: bool = Field(True, description="false: weights are there, and nothing is remembered")

    def add(self, g: Builder, name: str, x: str, eps: float) -> str:
        """Keys or values behind those remembered."""
        op = ops.ClipMemory(clips=self.clips * self.read, gap=self.gap, kernel=self.kernel, stride=self.stride, eps=eps)
        return g.add(f"{name}_memory", op, x)

    def words(self) -> tuple[str, ...]:
        """It in a drawing; nothing where no clip is read."""
        return (f"memory of {self.clips} clip{'s' * (self.clips > 1)}",) if self.clips and self.read else ()

    def attention(self, plain: ops.RelativeAttention) -> ops.RelativeAttention:
        """The attention with tables for what is remembered."""
        if not self.clips:
            return plain
        return ops.MemoryAttention(
            heads=plain.heads,
            sizes=plain.sizes,
            fused=plain.fused,
            clips=self.clips,
            kernel=self.kernel,
            stride=self.stride,
        )


class PooledTransformer(TransformerParts):
    """Attention whose queries, keys and values are pooled apart, and a perceptron.  (c, t, h, w, k) -> (channels, ...)

    Pools are convolutions of each head, with the same weights for all, and a norm (arXiv:2104.11227). The map becomes
    as small as its queries; its shortcut is a max pool. Tokens beside the map go round all pools. Where channels
    change, the shortcut is a linear layer of what the norm gives.
    """

    first_only = ("stride",)

    channels: Width | None = Field(None, description="output channels; by default those that enter")
    widen: Literal["attention", "mlp"] = Field("attention", description="where channels change: attention or mlp")
    kernel: Sizes | None = Field(
        (3, 3, 3), description="window of the pools; null: stride + 1 along strided axes, without stride no pool"
    )
    stride: Sizes = Field((1, 1, 1), description="stride of the queries")
    stride_kv: Sizes = Field((1, 1, 1), description="stride of keys and values")
    pool_queries: bool = Field(False, description="whether queries are pooled without a stride, too")
    relative: bool = Field(False, description="relative positions along each axis in the products")
    sizes: Sizes | None = Field(None, description="sizes (t, h, w) of their tables; by default the map's")
    pool_first: bool = Field(False, description="pools in front of the linear layers of queries, keys and values")
    memory: Remembered | None = Field(None, description="what is remembered of the clips before; needs pool_first")
    residual: bool = Field(False, description="whether pooled queries are added to the map that attention gives")
    shortcut: Literal["max", "query"] = Field(
        "max", description="max: pooled by a maximum; query: projected, then pooled as queries are, with their weights"
    )

    @model_validator(mode="after")
    def _norms_first(self) -> PooledTransformer:
        if self.norm_at == "post":
            raise SpecError("norms behind sums of pooled attention", got="norm_at: post", want="norm_at: pre")
        if self.memory and not self.pool_first:
            what, got = "a memory of what linear layers give", "memory with pool_first: false"
            raise SpecError(what, at="memory", got=got, want="a memory in front of them", fix="pool_first: true")
        return self

    def summary(self, channels: int) -> tuple[str, ...]:
        strides = (("queries", self.stride), ("keys", self.stride_kv))
        pooled = [f"{name} 1/{'×'.join(map(str, stride))}" for name, stride in strides if stride != POINT]
        kept = self.memory.words() if self.memory else ()
        return (f"pooled attention, {self.heads} heads", *pooled, *kept, f"{'gated ' * self.gated}mlp ×{self.mlp}")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        channels = self.channels or c
        within = channels if self.widen == "attention" else c
        y, z = self.attention(g, x, within)
        x = g.add("attend_sum", ops.Add(), self.shortened(g, x, y, within), z)
        y, z = self.after_norm(g, x, channels)
        short = x if within == channels else self.linear(g, "mlp_project", y, channels)
        return g.add("mlp_sum", ops.Add(), short, z)

    def attention(self, g: Builder, x: str, channels: int) -> tuple[str, str]:
        """The normalised map, and attention of it."""
        y, z = self.norm.add(g, "attend_norm", x), UNKNOWN
        with g.inside("attend", "Attention"):
            z = self.attended(g, y, channels)
        return y, z

    def after_norm(self, g: Builder, x: str, channels: int) -> tuple[str, str]:
        """The normalised map, and the perceptron of it."""
        y, z = self.norm.add(g, "mlp_norm", x), UNKNOWN
        with g.inside("mlp", "Mlp"):
            z = self.ended(g, self.hidden(g, y, channels))
        return y, z

    def two_streams(self, g: Builder, first: str, second: str) -> tuple[str, str]:
        c = g.shape(second).c
        if self.stride != POINT or (self.channels or c) != c:
            what, want = "two streams through a block that changes the map", "no stride, and channels as they are"
            raise SpecError(what, got=f"stride={self.stride}, channels {c} -> {self.channels or c}", want=want)
        first = g.add("attend_sum", ops.Add(), first, self.attention(g, second, c)[1])
        return first, g.add("mlp_sum", ops.Add(), second, self.after_norm(g, first, c)[1])

    def attended(self, g: Builder, x: str, channels: int) -> str:
        """Queries, keys and values, their pools, attention, the linear layer behind it."""
        q, k, v = self.pooled_reads(g, x, channels)
        attention: ops.Op = ops.Attention(heads=self.heads, fused=self.fused)
        if self.relative:
            relative = ops.RelativeAttention(heads=self.heads, sizes=self.sizes, fused=self.fused)
            attention = self.memory.attention(relative) if self.memory else relative
        y = g.add("attention", attention, q, k, v)
        if self.residual:
            queries = g.add("residual_query", ops.TakeMap(), q) if g.shape(q).extra else q
            y = on_map(g, "residual", y, lambda z: g.add("residual_sum", ops.Add(), z, queries))
        return self.ended(g, self.linear(g, "out", y, channels))

    def pooled_reads(self, g: Builder, x: str, channels: int) -> list[str]:
        """Queries, keys and values, each through its pool and its linear layer."""
        reads = [x] * 3 if self.pool_first else self.projections(g, x, channels)
        strides = (self.stride, self.stride_kv, self.stride_kv)
        found = [
            self.pooled(g, name, read, stride, self.pool_queries or name != "query")
            for name, read, stride in zip(("query", "key", "value"), reads, strides)
        ]
        if self.memory:
            kept = self.memory
            found[1:] = [kept.add(g, name, y, self.norm.eps) for name, y in zip(("key", "value"), found[1:])]
        return self.linears(g, found, channels) if self.pool_first else found

    def pooled(self, g: Builder, name: str, x: str, stride: Triple, without_stride: bool) -> str:
        """A map pooled by a convolution of each head, and the norm of each head behind it; itself where neither is."""
        kernel = self.kernel or wider(stride)
        if kernel == POINT or (stride == POINT and not without_stride):
            return x
        pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        conv = ops.HeadConv(heads=self.heads, kernel=kernel, stride=stride, pad=pad)
        y = on_map(g, name, x, lambda z: g.add(f"{name}_pool", conv, z))
        return g.add(f"{name}_norm", ops.HeadNorm(heads=self.heads, eps=self.norm.eps), y)

    def shortened(self, g: Builder, x: str, normed: str, channels: int) -> str:
        """The map as wide as its attention and as small as the queries."""
        if self.shortcut == "query":
            y = x if g.shape(x).c == channels else self.linear(g, "attend_project", x, channels)
            with g.borrowing("shortcut", "attend"):
                return self.pooled(g, "shortcut_query", y, self.stride, self.pool_queries)
        y = x if g.shape(x).c == channels else self.linear(g, "attend_project", normed, channels)
        if self.stride == POINT:
            return y
        kernel = wider(self.stride)
        pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        pool = ops.MaxPool(kernel=kernel, stride=self.stride, pad=pad)
        return on_map(g, "shortcut", y, lambda z: g.add("shortcut_pool", pool, z))


def wider(stride: Triple) -> Triple:
    """A window one longer than a stride, along the axes that have one."""
    t, h, w = (n + (n > 1) for n in stride)
    return t, h, w


def on_map(g: Builder, name: str, x: str, branch: Callable[[str], str]) -> str:
    """What is made of a map; the tokens beside it go round."""
    if not g.shape(x).extra:
        return branch(x)
    y = branch(g.add(f"{name}_map", ops.TakeMap(), x))
    return g.add(f"{name}_join", ops.JoinTokens(), g.add(f"{name}_tokens", ops.TakeTokens(), x), y)
