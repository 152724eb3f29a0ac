"""The non-local block (arXiv:1711.07971): every position reads every other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Width
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Sizes

Pairwise = Literal["gaussian", "embedded_gaussian", "dot_product", "concatenation"]


class NonLocal(Block):
    """x + W(sum over j of f(x_i, x_j) g(x_j)).  (c, t, h, w) -> (c, t, h, w)

    f is one of the paper's four (section 3.2). Concatenation's ReLU(w [theta_i, phi_j]) is computed as the ReLU of a
    number of i plus a number of j, which is the same and does not build the pairs.
    """

    pairwise: Pairwise = Field(
        "embedded_gaussian", description="gaussian, embedded_gaussian, dot_product or concatenation"
    )
    inner: Width | None = Field(None, description="channels of theta, phi and g; half of the map's by default")
    pool: Sizes = Field((1, 2, 2), description="max pool of what is attended to; [1, 1, 1] for none")
    pool_at: Literal["before", "after"] = Field("before", description="pool before or after phi and g project")
    scale: bool = Field(False, description="divide affinities by the root of their width before the softmax")
    out_bias: bool = Field(True, description="a bias on the last projection")
    norm: NormField = Field(Norm(), description="norm after the last projection; a batch norm's scale starts at 0")

    @model_validator(mode="after")
    def _scale_means_something(self) -> NonLocal:
        if self.scale and not self.pairwise.endswith("gaussian"):
            raise SpecError(
                "`scale` without a softmax",
                got=f"pairwise: {self.pairwise}",
                want="a gaussian",
                fix="scale: false",
            )
        return self

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        inner = self.inner or max(c // 2, 1)
        before = self.pool_at == "before"
        keys = self.pooled(g, "pool", x) if before else x
        phi, theta = keys, x
        if self.pairwise != "gaussian":
            theta, phi = projected(g, "theta", x, inner), projected(g, "phi", keys, inner)
        if not before:
            phi = self.pooled(g, "phi_pool", phi)
        weights = self.weights(g, theta, phi)
        values = projected(g, "g", keys, inner)
        values = values if before else self.pooled(g, "g_pool", values)
        mean = not self.pairwise.endswith("gaussian")
        y = g.add("gather", ops.Gather(mean=mean), weights, values)
        y = projected(g, "out", y, c, bias=self.out_bias)
        return g.add("sum", ops.Add(), x, self.norm.add(g, "norm", y, zero_init=True))

    def pooled(self, g: Builder, name: str, x: str) -> str:
        """The largest of each few neighbours, or the map itself."""
        pool = ops.MaxPool(kernel=self.pool, stride=self.pool, pad="valid")
        return x if self.pool == (1, 1, 1) else g.add(name, pool, x)

    def weights(self, g: Builder, theta: str, phi: str) -> str:
        """f of every pair: for the gaussians already divided by its sum over the keys."""
        if self.pairwise == "concatenation":
            pairs = g.add(
                "pairs", ops.PairSum(), position_scores(g, "w_theta", theta), position_scores(g, "w_phi", phi)
            )
            return g.add("act", ops.Relu(), pairs)
        affinity = g.add("affinity", ops.Affinity(scale=self.scale), theta, phi)
        return affinity if self.pairwise == "dot_product" else g.add("softmax", ops.Softmax(axis="c"), affinity)


def projected(g: Builder, name: str, x: str, channels: int, bias: bool = True) -> str:
    """A 1x1x1 convolution."""
    return g.add(name, ops.Conv(out_channels=channels, kernel=(1, 1, 1), bias=bias), x)


def position_scores(g: Builder, name: str, x: str) -> str:
    """One half of the vector that concatenation projects with: a number for each position."""
    return projected(g, name, x, 1, bias=False)
