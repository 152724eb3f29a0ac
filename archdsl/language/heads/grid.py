"""A head that says of each cell of a grid what it holds and where: the first YOLO (arXiv:1506.02640)."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end
from archdsl.spec.scalars import Count


class GridDetector(Head):
    """One linear layer over a vector of each frame.  end (c, t, 1, 1) -> three outputs

    `scores` (classes, t, cells, 1), those of each cell; `objectness` (1, t, cells boxes, 1) and `shifts` (4, t, cells
    boxes, 1) of its boxes: the centre's place within the cell, and roots of width and height in sides of the image.
    Cells go row by row. What the layer says lies in darknet's order: all scores, all objectness, all boxes.
    """

    classes: Count = Field(description="classes, without a background")
    side: Count = Field(7, description="cells along each side of the image")
    boxes: Count = Field(2, description="boxes of each cell")

    @property
    def task(self) -> str:
        return "detection"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        cells = self.side**2
        sizes = {"scores": (cells, self.classes), "objectness": (cells * self.boxes, 1)}
        sizes["shifts"] = (cells * self.boxes, 4)
        channels = sum(rows * width for rows, width in sizes.values())
        said, first, outputs = g.add("said", ops.Linear(out_features=channels), the_end(ends)), 0, {}
        for name, (rows, width) in sizes.items():
            part = g.add(f"{name}_part", ops.TakeChannels(start=first, count=rows * width), said)
            outputs[name] = g.add(name, ops.AnchorRows(channels=width), part)
            first += rows * width
        return outputs
