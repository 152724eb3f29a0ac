"""A head that reads frames in their order: temporal relations (TRN, arXiv:1711.08496)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head, frame_features
from archdsl.spec.scalars import Count, Real


class Relation(Head):
    """Pool each frame, drop, project it to `features`; two layers read frames side by side.  ends -> (classes,)

    `single` reads all frames at once. `multi` sums over relations of 2, 3, ... all frames, up to `choices` of each
    size: drawn anew at each step of training, spread evenly over all there are at test.
    """

    classes: Count = Field(description="classes")
    scales: Literal["multi", "single"] = Field("multi", description="multi or single")
    features: Count = Field(256, description="channels of each frame")
    hidden: Count = Field(256, description="width between the two layers")
    choices: Count = Field(3, description="choices of frames for each size")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x = frame_features(g, ends, self.dropout, "relations")
        x = g.add("project", ops.Linear(out_features=self.features), x)
        frames = g.shape(x).t
        if frames < 2:
            raise SpecError("relations of one frame", got=f"{frames} frame", want="at least 2 frames")
        sizes = range(frames, 1, -1) if self.scales == "multi" else [frames]
        scores = [self.related(g, x, size) for size in sizes]
        y = scores[0] if len(scores) == 1 else g.add("relations_sum", ops.Add(), *scores)
        return {"scores": g.add("scores", ops.Vector(), y)}

    def related(self, g: Builder, x: str, size: int) -> str:
        """The scores of relations of one size, summed."""
        y = g.add(f"choose{size}", ops.FrameTuples(size=size, count=self.choices), x)
        y = g.add(f"relu{size}", ops.Relu(), y)
        y = g.add(f"hidden{size}", ops.Linear(out_features=self.hidden, init="default"), y)
        y = g.add(f"act{size}", ops.Relu(), y)
        y = g.add(f"classifier{size}", ops.Linear(out_features=self.classes, init="default"), y)
        return g.add(f"sum{size}", ops.SumOverTime(), y)
