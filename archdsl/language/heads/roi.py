"""A head that classifies what happens in given boxes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.names import ClipName
from archdsl.graph import Builder
from archdsl.language.heads.base import Head, boxes_clip
from archdsl.spec.scalars import Count, Real


class Roi(Head):
    """Actions of the persons in given boxes, as for AVA (arXiv:1812.03982, section 5).  ends -> (classes, boxes)

    Each pathway is averaged over time, RoIAlign takes size x size cells of each box, their largest is kept, pathways
    are joined, half dropped, classified. Scores are logits: several actions may be true at once, the sigmoid is the
    loss's. The boxes are a clip of modality `boxes`, (n, 4, boxes, 1, 1): x1, y1, x2, y2 in pixels, boxes along time;
    clips with fewer persons fill up with zeros, whose scores mean nothing.
    """

    classes: Count = Field(description="classes")
    boxes: ClipName = Field("boxes", description="the clip that holds the boxes")
    size: Count = Field(7, description="cells along each side of a box")
    aligned: bool = Field(True, description="shift boxes by half an element, as Detectron2's ROIAlign does")
    blocks: Chain = Field((), description="blocks on the boxes of a clip, (c, boxes, 1, 1), before they are classified")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")

    @property
    def task(self) -> str:
        return "action_detection"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        boxes_clip(g, self.boxes)
        cells = [self.largest(g, name, x) for name, x in ends.items()]
        x = cells[0] if len(cells) == 1 else g.add("join", ops.Concat(), *cells)
        x = add_chain(g, "blocks", self.blocks, x)
        x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
        x = g.add("classifier", ops.Linear(out_features=self.classes), x)
        return {"scores": g.add("scores", ops.Series(), x)}

    def largest(self, g: Builder, name: str, x: str) -> str:
        """One pathway's end within each box: (c, t, h, w) -> (c, boxes, 1, 1)."""
        x = g.add(f"time_{name}", ops.Mean(over="t"), x)
        roi = ops.RoiAlign(size=self.size, step=g.grid(x).h.step, aligned=self.aligned)
        x = g.add(f"roi_{name}", roi, x, self.boxes)
        return g.add(f"pool_{name}", ops.MaxPool(kernel=(1, 0, 0), pad="valid"), x)
