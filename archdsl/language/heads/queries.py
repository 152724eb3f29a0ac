"""A head that says a set of boxes by attention (DETR, arXiv:2005.12872)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Norm
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end
from archdsl.spec.scalars import Count, Real

POST = Norm(kind="layer", eps=1e-5)


class SetDetector(Head):
    """Learnt queries each say one box or none.  end (c, t, h, w) -> two outputs

    `scores` (classes, 1, queries, 1), the last of them no object, before the softmax; `boxes` (4, 1, queries, 1), a
    centre, width and height in sides of the image. The map is brought to `width`; encoder layers let its positions read
    each other, decoder layers the queries each other and the map. Places of the map are sines of its rows and columns,
    which every layer adds to what asks and is asked; queries are added likewise. Norms follow each sum.
    """

    classes: Count = Field(description="classes, no object among them")
    queries: Count = Field(100, description="boxes that are said")
    width: Count = Field(256, description="channels of map and queries")
    heads: Count = Field(8, description="heads of each attention")
    hidden: Count = Field(2048, description="hidden channels of each perceptron")
    encoder: Count = Field(6, description="layers over the map")
    decoder: Count = Field(6, description="layers over the queries")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.1, description="share of elements dropped in each branch")

    @property
    def task(self) -> str:
        return "detection"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        conv = ops.Conv(out_channels=self.width, kernel=(1, 1, 1), bias=True, init="default")
        x = g.add("project", conv, the_end(ends))
        for i in range(self.encoder):
            with g.inside(f"encoder{i}", "Transformer"):
                x = self.encoded(g, x)
        keys = g.add("places", self.places, x)
        asked = g.add("queries", ops.Queries(count=self.queries, std=1.0), x)
        y = g.add("nothing", ops.Affine(scale=0.0), asked)
        for i in range(self.decoder):
            with g.inside(f"decoder{i}", "Transformer"):
                y = self.decoded(g, y, asked, x, keys)
        return self.said(g, g.add("rows", ops.TokenRows(), POST.add(g, "norm", y)))

    @property
    def places(self) -> ops.Op:
        """Sines of rows, then of columns."""
        return ops.SinePositions(over=("h", "w"), circle=True)

    def encoded(self, g: Builder, x: str) -> str:
        """Positions that read each other."""
        asks = g.add("places", self.places, x)
        return self.perceptron(g, self.attended(g, "attend", x, asks, asks, x))

    def decoded(self, g: Builder, y: str, asked: str, x: str, keys: str) -> str:
        """Queries that read each other, then the map."""
        asks = g.add("asks", ops.Add(), y, asked)
        y = self.attended(g, "attend", y, asks, asks, y)
        return self.perceptron(g, self.attended(g, "cross", y, g.add("asks_map", ops.Add(), y, asked), keys, x))

    def attended(self, g: Builder, name: str, y: str, query: str, key: str, value: str) -> str:
        """One attention around its shortcut."""
        with g.inside(name, "Attention"):
            reads = [self.linear(g, k, x) for k, x in (("query", query), ("key", key), ("value", value))]
            z = self.dropped(g, self.linear(g, "out", g.add("attention", ops.Attention(heads=self.heads), *reads)))
        return POST.add(g, f"{name}_norm", g.add(f"{name}_sum", ops.Add(), y, z))

    def perceptron(self, g: Builder, y: str) -> str:
        """Two layers around their shortcut."""
        with g.inside("mlp", "Mlp"):
            z = self.dropped(g, g.add("act", ops.Relu(), self.linear(g, "up", y, self.hidden)), "act_dropout")
            z = self.dropped(g, self.linear(g, "down", z))
        return POST.add(g, "mlp_norm", g.add("mlp_sum", ops.Add(), y, z))

    def linear(self, g: Builder, name: str, x: str, channels: int | None = None) -> str:
        return g.add(name, ops.Linear(out_features=channels or self.width, init="default"), x)

    def dropped(self, g: Builder, x: str, name: str = "dropout") -> str:
        return g.add(name, ops.Dropout(p=float(self.dropout)), x) if self.dropout else x

    def said(self, g: Builder, y: str) -> dict[str, str]:
        """Class and box of each query."""
        scores, z = self.linear(g, "scores", y, self.classes), y
        for i in (0, 1):
            z = g.add(f"box_act{i}", ops.Relu(), self.linear(g, f"box{i}", z))
        return {"scores": scores, "boxes": g.add("boxes", ops.Sigmoid(), self.linear(g, "box2", z, 4))}
