"""A head that proposes boxes on a pyramid of maps and looks at each again: Faster, Mask and Keypoint R-CNN."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.chain import Chain, add_chain
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.language.heads.anchors import Anchored
from archdsl.language.heads.detector import Deviations
from archdsl.ops.conv import Init
from archdsl.spec.scalars import Count, Distinct, Real

Overlap = Annotated[Real, Field(gt=0, le=1)]
Pixels = Annotated[Real, Field(ge=0)]


class RegionDetector(Anchored):
    """Boxes proposed on several maps, then told apart by what is cut out of them.  ends -> outputs

    For the loss of proposals `anchor_scores` (1, t, anchors, 1) before the sigmoid, and `anchor_shifts` (4, ...).
    `proposals` (6, t, count, 1): map, chance, x1, y1, x2, y2 in pixels. Of each: `scores` (classes, t, count, 1) before
    the softmax, background first; `shifts` (4 classes, t, count, 1). `detections` (6, t, given, 1): class, chance and
    corners of the best. Of these, where there are such heads: `masks` (classes, t given, s, s) before the sigmoid,
    `keypoints` (points, t given, s, s) before a softmax over places. The corners of anchors are the buffer `anchors` of
    the network's `head.anchors`.
    """

    proposing: Chain = Field((), description="blocks on each map in front of what is said of anchors, one set for all")
    candidates: Count = Field(1000, description="best boxes of each map that go into suppression")
    count: Count = Field(1000, description="proposals that leave it")
    overlap: Overlap = Field(0.7, description="overlap of proposals of one map of which the best stays")
    least: Pixels = Field(1e-3, description="least side of a proposal, in pixels")
    cut_from: Annotated[tuple[Name, ...], Distinct] | None = Field(
        None, description="pathways that regions are cut from; by default all that are read"
    )
    size: Count = Field(7, description="cells along each side of a region")
    region: Chain = Field(min_length=1, description="blocks on a region's cells, (c, regions, size, size) and on")
    deviations: Deviations = Field((0.1, 0.1, 0.2, 0.2), description="what shifts of proposals (x, y, w, h) count in")
    given: Count = Field(100, description="boxes that are given")
    given_above: Annotated[Real, Field(ge=0, lt=1)] = Field(0.05, description="chance that they must have more than")
    given_overlap: Overlap = Field(0.5, description="overlap of boxes of one class of which the best stays")
    given_least: Pixels = Field(1e-2, description="least side of a box, in pixels")
    masks: Chain = Field((), description="blocks on the cells of boxes that are given; the last writes masks")
    keypoints: Chain = Field((), description="blocks on the cells of boxes that are given; the last writes points")
    fine: Count = Field(14, description="cells along each side of a box for masks and points")
    init: Init = Field("normal", description="how the last convolutions of proposals are drawn")

    @property
    def task(self) -> str:
        return "shape_detection" if self.masks or self.keypoints else "detection"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        maps = self.matched(ends, True)
        cut_from = [*ends] if self.cut_from is None else [*self.cut_from]
        if missing := next((name for name in cut_from if name not in ends), None):
            raise SpecError(f"no pathway {missing!r} is read", at="cut_from", got=missing, want=", ".join(ends))
        if UNKNOWN in maps:
            return {}
        cut = [ends[name] for name in cut_from]
        found = self.proposed(g, maps)
        boxes = g.add("boxes", ops.TakeChannels(start=2, count=4), found["proposals"])
        found |= self.told_apart(g, cut, boxes)
        further = {name: blocks for name, blocks in (("masks", self.masks), ("keypoints", self.keypoints)) if blocks}
        if further:
            boxes = g.add("best", ops.TakeChannels(start=2, count=4), found["detections"])
        for name, blocks in further.items():
            found[name] = add_chain(g, name, blocks, self.cells(g, f"{name}_cells", self.fine, cut, boxes))
        return found

    def proposed(self, g: Builder, maps: list[str]) -> dict[str, str]:
        """Boxes from what is said of each anchor."""
        scores, shifts = [], []
        for i, x in enumerate(maps):
            with g.inside(f"map{i}"), g.sharing("map0") if i else nullcontext():
                y, a = add_chain(g, "proposing", self.proposing, x), len(self.sides[i])
                scores.append(g.add("scores", self.point(a), y))
                shifts.append(g.add("shifts", self.point(4 * a), y))
        rows = {
            "anchor_scores": g.add("anchor_scores", ops.AnchorRows(channels=1), *scores),
            "anchor_shifts": g.add("anchor_shifts", ops.AnchorRows(channels=4), *shifts),
        }
        chances = g.add("anchor_chances", ops.Sigmoid(), rows["anchor_scores"])
        moved = g.add("anchor_boxes", self.moved(g, (1.0, 1.0, 1.0, 1.0)), rows["anchor_shifts"], self.anchors(g, maps))
        best = ops.BestBoxes(
            rows=self.rows(g, maps),
            count=self.count,
            overlap=float(self.overlap),
            above=-1.0,
            least=float(self.least),
            candidates=self.candidates,
            per="map",
            apart="map",
        )
        return rows | {"proposals": g.add("proposals", best, chances, moved)}

    def point(self, channels: int) -> ops.Conv:
        """A 1x1 convolution."""
        return ops.Conv(out_channels=channels, kernel=(1, 1, 1), bias=True, init=self.init)

    def moved(self, g: Builder, deviations: Deviations) -> ops.MoveBoxes:
        """What makes boxes of shifts and boxes, within the clip."""
        clip = g.shape(g.clips[0])
        x, y, w, h = map(float, deviations)
        return ops.MoveBoxes(deviations=(x, y, w, h), size=(clip.h, clip.w))

    def told_apart(self, g: Builder, cut: list[str], boxes: str) -> dict[str, str]:
        """What each proposal is, how it is moved, and the best of them."""
        y = add_chain(g, "region", self.region, self.cells(g, "cells", self.size, cut, boxes))
        sizes, rows = {"scores": self.classes, "shifts": 4 * self.classes}, {}
        for name, channels in sizes.items():
            z = g.add(f"{name}_of_regions", ops.Linear(out_features=channels), y)
            rows[name] = g.add(name, ops.RegionRows(count=self.count), z)
        chances = g.add("chances", ops.Softmax(), rows["scores"])
        moved = g.add("moved", self.moved(g, self.deviations), rows["shifts"], boxes)
        best = ops.BestBoxes(
            rows=(self.count,),
            count=self.given,
            overlap=float(self.given_overlap),
            above=float(self.given_above),
            least=float(self.given_least),
            background=True,
        )
        return rows | {"detections": g.add("detections", best, chances, moved)}

    def cells(self, g: Builder, name: str, size: int, maps: list[str], boxes: str) -> str:
        """Cells of boxes, each from the map that fits it."""
        steps = [g.grid(x).h.step for x in maps]
        if any(step.denominator != 1 for step in steps):
            got = ", ".join(map(str, steps))
            raise SpecError("regions on a map with fractional steps", got=got, want="whole numbers")
        return g.add(name, ops.RegionAlign(size=size, steps=tuple(map(int, steps))), boxes, *maps)
