"""What reads the pathways' ends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, WithJsonSchema

from archdsl import ops
from archdsl.blocks.base import Act, add_act
from archdsl.graph import Builder
from archdsl.language.keyed import keyed, kinds_by_key, unkeyed
from archdsl.language.names import Name
from archdsl.written import Count, Real, Written


class Head(Written):
    """Reads the ends of the pathways, in order, and gives named outputs."""

    reads: tuple[Name, ...] | None = Field(None, description="pathways it reads; by default all that end")

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        """Add ops that read `ends` (pathway -> value); give output name -> value."""
        raise NotImplementedError(f"{type(self).__name__} has no build")


class Classifier(Head):
    """Pool each pathway, join them, drop, classify every position left, take the mean.  ends -> (classes,)

    `window: 7` keeps the pool of the training crop at any size: at 256 it leaves 2 x 2 positions.
    """

    classes: Count = Field(description="classes")
    pool: Literal["average", "max", "none"] = Field("average", description="average, max, or none: first classify")
    window: Count | None = Field(None, description="side of the pooled window; by default the whole map")
    merge: Literal["concat", "sum"] = Field("concat", description="how pathways are joined: concat or sum")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")
    act: Act = Field("none", description="activation of the scores of each position, before their mean")

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        pooled = [x if self.pool == "none" else self.pooled(g, name, x) for name, x in ends.items()]
        join = ops.Concat() if self.merge == "concat" else ops.Add()
        x = pooled[0] if len(pooled) == 1 else g.add("join", join, *pooled)
        x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
        x = add_act(g, "act", self.act, g.add("classifier", ops.Linear(out_features=self.classes), x))
        if g.shape(x).positions > 1:
            x = g.add("mean", ops.Mean(over="thw"), x)
        return {"scores": g.add("scores", ops.Vector(), x)}

    def pooled(self, g: Builder, name: str, x: str) -> str:
        """One pathway's end, pooled over all time and over a window or the whole map in space."""
        if self.window is None:
            return g.add(f"pool_{name}", ops.AdaptiveAvgPool() if self.pool == "average" else ops.AdaptiveMaxPool(), x)
        kernel = (0, self.window, self.window)
        pool = ops.AvgPool if self.pool == "average" else ops.MaxPool
        return g.add(f"pool_{name}", pool(kernel=kernel, pad="valid"), x)


HEADS: tuple[type[Head], ...] = (Classifier,)
HEADS_BY_KEY = kinds_by_key(HEADS)

HeadField = Annotated[
    SerializeAsAny[Head],
    BeforeValidator(lambda value: unkeyed(value, HEADS_BY_KEY, "head")),
    PlainSerializer(keyed),
    WithJsonSchema({"x-archdsl": "Head"}),
]


