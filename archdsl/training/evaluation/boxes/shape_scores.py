"""Found boxes with masks or key points: how many are right by these too, and pictures of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.training.evaluation.boxes.box_precision import box_precisions
from archdsl.training.evaluation.boxes.box_scores import BoxPredictions, BoxScores
from archdsl.training.evaluation.boxes.found_boxes import FoundBoxes

MARKED = torch.tensor([230.0, 25.0, 75.0])
"""The colour of masks and points, half of it."""


class FoundShapes(NamedTuple):
    """What is found in a frame, with a mask or key points of each."""

    boxes: FoundBoxes
    masks: Tensor | None
    """(n, h, w) of bool"""
    points: Tensor | None
    """(n, points, 3): x and y in pixels, and a score"""

    def drawn(self, frame: Tensor) -> Tensor:
        """A frame with what is marked.  (3, h, w) uint8"""
        marked = torch.zeros(frame.shape[1:], dtype=torch.bool)
        if self.masks is not None:
            marked |= self.masks.any(0)
        if self.points is not None:
            x, y = (self.points[..., i].flatten().long().clamp(0, frame.shape[2 - i] - 1) for i in (0, 1))
            marked[y, x] = True
        mixed = (frame + MARKED.view(3, 1, 1)) / 2
        return torch.where(marked, mixed, frame.float()).to(torch.uint8)

    def records(self) -> list[dict[str, Any]]:
        """Of each box, in pixels of what the network saw."""
        if self.points is not None:
            return [{"points": one} for one in self.points.tolist()]
        assert self.masks is not None
        return [{"mask_pixels": int(one.sum())} for one in self.masks]


@dataclass(frozen=True)
class ShapeScores(BoxScores):
    """The same of masks, by their overlap, or of key points, by COCO's similarity."""

    likeness: tuple[Tensor, ...] = ()
    """Of each frame (n, t): how much found things are like true ones."""
    noun: str = "mask"

    @cached_property
    def of_shapes(self) -> dict[str, float]:
        """COCO's figures of shapes: the means over classes that there are."""
        labels = range(1, len(self.classes))
        every = [box_precisions(self.frames, label, "coco", self.likeness) for label in labels]
        known = [one for one in every if all(x == x for x in one.values())]
        return {f"{self.noun}_{name}": sum(one[name] for one in known) / len(known) for name in known[0]}

    @property
    def figures(self) -> dict[str, float]:
        """Those of boxes, and those of shapes."""
        return super().figures | self.of_shapes


@dataclass(frozen=True)
class ShapePredictions(BoxPredictions):
    """Boxes of each frame of a file, and shapes of each."""

    shapes: tuple[FoundShapes, ...] = ()

    def record(self) -> dict[str, Any]:
        found = super().record()
        for frame, shapes in zip(found["frames"], self.shapes):
            frame["boxes"] = [box | shape for box, shape in zip(frame["boxes"], shapes.records())]
        return found
