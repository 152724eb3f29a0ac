"""A head for videos of several segments: each is classified, their scores agree on one (TSN, arXiv:1608.00859)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head, frame_features
from archdsl.spec.scalars import Count, Real


class Consensus(Head):
    """Pool each frame, drop, classify it, and make one score of all frames.  ends -> (classes,), or (classes, t)

    `average`, `max`, the mean of the `k` highest (`top`), or a learned weight for each segment (`weighted`); `each`
    leaves the scores of every frame, for a loss at each.
    """

    classes: Count = Field(description="classes")
    over: Literal["average", "max", "top", "weighted", "each"] = Field(
        "average", description="average, max, top, weighted or each"
    )
    k: Count | None = Field(None, description="with `top`: how many segments speak for a class")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")

    def model_post_init(self, context: object, /) -> None:
        if (self.k is None) != (self.over != "top"):
            raise SpecError(
                "`k` goes with `top`", got=f"over: {self.over}, k: {self.k}", want="over: top with k, or neither"
            )

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x = frame_features(g, ends, self.dropout, "a consensus")
        x = g.add("classifier", ops.Linear(out_features=self.classes), x)
        if self.over == "each":
            return {"scores": g.add("scores", ops.Series(), x)}
        return {"scores": g.add("scores", ops.Vector(), g.add("consensus", self.consensus(), x))}

    def consensus(self) -> ops.Op:
        """The op that makes one score of all."""
        match self.over:
            case "average":
                return ops.Mean(over="t")
            case "max":
                return ops.MaxOverTime()
            case "top":
                return ops.TopOverTime(k=self.k or 1)
            case _:
                return ops.WeightedOverTime()
