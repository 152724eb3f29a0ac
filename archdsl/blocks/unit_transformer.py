"""The transformer block of Hiera (arXiv:2306.00989): attention within units, queries pooled by their maximum."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import POINT, Width
from archdsl.blocks.transformer import TransformerParts
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops.windows import fitted
from archdsl.spec.scalars import Sizes


class UnitTransformer(TransformerParts):
    """Attention within units that part the map, and a perceptron, each added to what it reads.

    (c, t, h, w) -> (channels, t', h', w')

    Queries are maxima over windows of `stride`, and so is the shortcut, a linear layer of what the norm gives where
    channels change.
    """

    first_only = ("stride",)

    channels: Width | None = Field(None, description="output channels; by default those that enter")
    unit: Sizes | None = Field(None, description="unit (t, h, w) within which keys are read; null: the whole map")
    stride: Sizes = Field((1, 1, 1), description="stride of the queries")

    def summary(self, channels: int) -> tuple[str, ...]:
        where = f"within {'×'.join(map(str, self.unit))}" if self.unit else "over thw"
        return f"attention {where}, {self.heads} heads", self.perceptron_text(self.channels or channels)

    def build(self, g: Builder, x: str) -> str:
        channels, y, z = self.channels or g.shape(x).c, self.norm.add(g, "attend_norm", x), UNKNOWN
        with g.inside("attend", "Attention"):
            z = self.attended(g, y, channels)
        short = x if channels == g.shape(x).c else self.linear(g, "project", y, channels)
        x = g.add("attend_sum", ops.Add(), self.pooled(g, "shortcut_pool", short), z)
        return self.perceptron(g, x)

    def attended(self, g: Builder, x: str, channels: int) -> str:
        """Queries, keys and values, attention, the linear layer behind it."""
        q, k, v = self.projections(g, x, channels)
        q = self.pooled(g, "query_pool", q)
        attention: ops.Op = ops.Attention(heads=self.heads, fused=self.fused)
        if self.unit:
            size = g.shape(x)[1:4]
            odd = [axis for axis, n, unit in zip("thw", size, fitted(self.unit, g.shape(x))) if n % unit]
            if odd:
                got, want = " x ".join(map(str, size)), f"multiples of {' x '.join(map(str, self.unit))}"
                raise SpecError(
                    f"units that do not part the map along {', '.join(odd)}", got=got, want=want, fix="unit: null"
                )
            attention = ops.WindowAttention(heads=self.heads, size=self.unit, fused=self.fused)
        return self.ended(g, self.linear(g, "out", g.add("attention", attention, q, k, v), channels))

    def pooled(self, g: Builder, name: str, x: str) -> str:
        """The largest of each window."""
        if self.stride == POINT:
            return x
        return g.add(name, ops.MaxPool(kernel=self.stride, stride=self.stride, pad="valid"), x)
