"""A head that finds things in every frame and says what they are (R-FCN, arXiv:1605.06409)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.names import ClipName
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head, boxes_clip
from archdsl.language.heads.dense import the_end
from archdsl.spec.scalars import Count, Positive, Real

Deviations = tuple[Positive, Positive, Positive, Positive]


class Detector(Head):
    """Boxes proposed from one half of the channels, told apart by the other half.  end -> five outputs

    `proposals` (5, t, count, 1): score, x1, y1, x2, y2 in pixels. `scores` (classes, t, count, 1): chances of each
    class, background first. `shifts` (8, t, count, 1): how a box of background and of anything else is moved and
    stretched. For the loss of the proposals also `anchor_scores` (2a, t, h, w), background first, and
    `anchor_shifts` (4a, t, h, w). A map of size x size cells per class is read by place within each box.
    With `region` the head is that of Faster R-CNN (arXiv:1506.01497), `shifts` are of each class (4 classes, ...), and
    with `boxes` that of Fast R-CNN (arXiv:1504.08083), which proposes nothing itself.
    """

    classes: Count = Field(description="classes, background among them")
    size: Count = Field(7, description="cells along each side of a box")
    scales: tuple[Positive, ...] = Field((8, 16, 32), min_length=1, description="sides of anchors, in steps of the map")
    ratios: tuple[Positive, ...] = Field((0.5, 1, 2), min_length=1, description="heights of anchors over widths")
    deviations: Deviations = Field((0.1, 0.1, 0.4, 0.4), description="what shifts of anchors (x, y, w, h) count in")
    candidates: Count = Field(6000, description="best boxes that go into suppression")
    count: Count = Field(300, description="proposals that leave it")
    overlap: Annotated[Real, Field(gt=0, le=1)] = Field(0.7, description="overlap of boxes of which the best stays")
    least: Annotated[Real, Field(ge=0)] = Field(0, description="least side of a proposal, in pixels")
    proposing: Chain = Field((), description="blocks in front of what is said of anchors, with `region`")
    region: Chain = Field(
        (), description="instead of maps by place: blocks on the largest of each cell of a box, (c, boxes, size, size)"
    )
    boxes: ClipName | None = Field(None, description="with `region`: the clip of boxes that stand for proposals")

    @property
    def task(self) -> str:
        return "detection"

    @model_validator(mode="after")
    def _of_regions(self) -> Self:
        if (self.proposing or self.boxes) and not self.region:
            got = "boxes" if self.boxes else "proposing"
            raise SpecError("a field that needs `region`", at=got, written=self.written, got=got, want="region: blocks")
        return self

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x = the_end(ends)
        return self.by_region(g, x) if self.region else self.by_halves(g, x)

    def by_region(self, g: Builder, x: str) -> dict[str, str]:
        """Faster and Fast R-CNN: what is cut out of the map says what it is.  shifts (4 classes, t, count, 1)"""
        if self.boxes is None:
            found = self.proposed(g, add_chain(g, "proposing", self.proposing, x))
            boxes = g.add("boxes", ops.TakeChannels(start=1, count=4), found["proposals"])
        else:
            found, given = {}, boxes_clip(g, self.boxes)
            boxes = g.add("boxes", ops.RegionRows(count=g.shape(given).t), given)
        cells = g.add("cells", ops.RegionMaxPool(size=self.size, step=self.step(g, x)), boxes, x)
        y, count = add_chain(g, "region", self.region, cells), g.shape(boxes).h
        said = {
            name: g.add(f"{name}_of_regions", ops.Linear(out_features=channels), y)
            for name, channels in (("classes", self.classes), ("shifts", 4 * self.classes))
        }
        scores = g.add("scores", ops.RegionRows(count=count), g.add("chances", ops.Softmax(), said["classes"]))
        return found | {"scores": scores, "shifts": g.add("shifts", ops.RegionRows(count=count), said["shifts"])}

    def by_halves(self, g: Builder, x: str) -> dict[str, str]:
        """R-FCN: one half of the channels proposes, the other tells apart."""
        half = g.shape(x).c // 2
        if half * 2 != g.shape(x).c:
            raise SpecError("odd number of channels", got=f"{g.shape(x).c} channels", want="an even number")
        first = g.add("first_half", ops.TakeChannels(start=0, count=half), x)
        second = g.add("second_half", ops.TakeChannels(start=half, count=half), x)
        proposed = self.proposed(g, first)
        boxes = g.add("boxes", ops.TakeChannels(start=1, count=4), proposed["proposals"])
        scores = g.add("scores", ops.Softmax(), self.by_place(g, "classes", second, self.classes, boxes))
        return proposed | {"scores": scores, "shifts": self.by_place(g, "shifts", second, 8, boxes)}

    def proposed(self, g: Builder, x: str) -> dict[str, str]:
        """Boxes from what is said of each anchor."""
        a = len(self.scales) * len(self.ratios)
        clip = g.clips[0]
        scores, shifts = (self.conv(g, name, n * a, x) for name, n in (("anchor_scores", 2), ("anchor_shifts", 4)))
        background = g.add("anchor_background", ops.TakeChannels(start=0, count=a), scores)
        thing = g.add("anchor_thing", ops.TakeChannels(start=a, count=a), scores)
        # of two scores the softmax is the sigmoid of their difference
        less = g.add("anchor_less", ops.Affine(scale=-1.0), background)
        chances = g.add("anchor_chances", ops.Sigmoid(), g.add("anchor_difference", ops.Add(), thing, less))
        op = ops.Proposals(
            step=self.step(g, x),
            scales=self.scales,
            ratios=self.ratios,
            deviations=self.deviations,
            candidates=self.candidates,
            count=self.count,
            overlap=self.overlap,
            least=self.least,
        )
        proposals = g.add("proposals", op, chances, shifts, clip)
        return {"proposals": proposals, "anchor_scores": scores, "anchor_shifts": shifts}

    def by_place(self, g: Builder, name: str, x: str, channels: int, boxes: str) -> str:
        """(c, t, h, w) -> (channels, t, boxes, 1): the mean over the cells of each box, each from its own map."""
        maps = self.conv(g, f"{name}_by_place", channels * self.size**2, x)
        cells = g.add(f"{name}_cells", ops.PlacePool(size=self.size, step=self.step(g, x)), maps, boxes)
        return g.add(f"{name}_mean", ops.Mean(over="w"), cells)

    def conv(self, g: Builder, name: str, channels: int, x: str) -> str:
        """A 1x1 convolution, drawn small."""
        return g.add(name, ops.Conv(out_channels=channels, kernel=(1, 1, 1), bias=True, init="normal"), x)

    def step(self, g: Builder, x: str) -> int:
        """Pixels between neighbours of the map."""
        step = g.grid(x).h.step
        if step != g.grid(x).w.step or step.denominator != 1:
            got = f"one element every {g.grid(x).h.step} and {g.grid(x).w.step} pixels"
            raise SpecError(
                "boxes on a map with fractional or different steps", got=got, want="a whole number, along h as along w"
            )
        return int(step)
