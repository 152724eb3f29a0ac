"""What detectors of each kind say: the loss of a frame, and the boxes that are found in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from archdsl import ops
from archdsl.backend.runtime.regions.anchors import anchor_boxes
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import AnchorDetector, Detector, GridDetector, RegionDetector, SetDetector
from archdsl.ops.rcnn import Box
from archdsl.training.evaluation.boxes.found_boxes import FoundBoxes, found_boxes, moved_boxes
from archdsl.training.tasks.boxes.anchor_losses import (
    SHARP,
    focal_loss,
    multibox_loss,
    objectness_loss,
    region_classes_loss,
)
from archdsl.training.tasks.boxes.grid_losses import cells_loss, cells_of, grid_boxes, grid_loss
from archdsl.training.tasks.boxes.region_losses import anchors_on, proposal_loss, random_keys, region_loss
from archdsl.training.tasks.boxes.set_losses import corners_from, set_amounts, set_loss

LAST_PIXEL = (0.0, 0.0, 1.0, 1.0)
"""From a corner at the edge of a pixel to the last pixel."""
AGAIN = 1
"""Added to the seed of a second draw."""
GIVEN = "given"
"""Name of the boxes of a clip beside the outputs."""
CUT_REGIONS, CUT_THINGS = 128, 32
"""Proposals of a frame that Fast and Faster R-CNN learn, and how many of them are things at most."""
Said = Mapping[str, Tensor]
"""The outputs of one frame: (c, rows, 1), or (c, h, w)."""


class FrameTruth(NamedTuple):
    """What is true of a frame."""

    boxes: Tensor
    """(g, 4), corners at edges of pixels"""
    labels: Tensor
    """(g,), from 1 on"""
    seed: Tensor
    """() of random choices"""


class DetectorKind(ABC):
    """How outputs of a head are learnt and read."""

    options: ClassVar[tuple[str, ...]] = ()
    """Fields of the task's options that it reads."""
    needed: ClassVar[tuple[str, ...]]
    """Outputs that boxes are read from."""
    parts: ClassVar[int] = 1
    """Of the loss, each divided by an amount of its own."""
    joining: ClassVar[Box | None] = None
    """What is taken off the corners of true boxes, which join the proposals in training; None where they do not."""
    beside: ClassVar[int] = 0
    """Scores that stand for no class of the data, the background being one; -1 where that has none."""

    def __init__(self, plan: Plan, options: Any) -> None:
        self.plan, self.given = plan, options
        self.head: Any = plan.arch.head
        shape = next(iter(plan.arch.clips.values())).shape
        self.size = (shape.h, shape.w)

    @property
    def given_boxes(self) -> str | None:
        """The clip of boxes that stand for proposals."""
        return None

    @property
    def classes(self) -> int:
        """The background among them."""
        return self.plan.outputs["scores"][0] - self.beside

    def sides(self, like: Tensor) -> Tensor:
        """Width and height of the frame, twice.  (4,)"""
        return like.new_tensor([self.size[1], self.size[0]] * 2)

    def op_of(self, kind: type[ops.Op]) -> Any:
        """The first op of a kind."""
        return next(node.op for node in self.plan.nodes if isinstance(node.op, kind))

    def amounts(self, truth: FrameTruth) -> Tensor:
        """How much a frame counts in each part of its loss; by default 1.  (parts,)"""
        return truth.boxes.new_ones(self.parts)

    @abstractmethod
    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        """Of one frame.  (), or (parts,)"""

    @abstractmethod
    def found(self, said: Said) -> FoundBoxes:
        """In one frame, on the CPU."""

    def best(self, boxes: Tensor, chances: Tensor) -> FoundBoxes:
        """The boxes that the task's options keep.  (r, 4) or (classes, r, 4), (classes, r)"""
        given = self.given
        return found_boxes(boxes, chances, self.size, least=given.least_score, overlap=given.overlap, most=given.most)


class ProposingDetector(DetectorKind):
    """Proposals of one map, whose corners are first and last pixels."""

    options: ClassVar[tuple[str, ...]] = ("border", "deviations", "least_score", "overlap", "most")
    needed = ("proposals", "scores", "shifts")
    joining = LAST_PIXEL

    def regions(self, said: Said) -> Tensor:
        """Boxes that are told apart, corners first and last pixels; zeros where there is none.  (r, 4)"""
        return said["proposals"][1:, :, 0].T

    def proposed(self, said: Said, truth: FrameTruth, sharp: float = 1.0) -> Tensor:
        """The loss of proposals.  ()"""
        op, scores = self.op_of(ops.Proposals), said["anchor_scores"]
        boxes = truth.boxes - truth.boxes.new_tensor(LAST_PIXEL)
        first, units = (torch.tensor(x, dtype=torch.float32).to(scores.device) for x in (op.anchors, op.deviations))
        anchors = anchors_on((scores.shape[1], scores.shape[2]), op.step, first)
        keys, border = random_keys(truth.seed, len(anchors)), self.given.border
        return proposal_loss(scores, said["anchor_shifts"], anchors, boxes, self.size, keys, units, border, sharp)

    def units(self, device: torch.device) -> Tensor:
        """What shifts of proposals count in."""
        return torch.tensor(self.given.deviations, dtype=torch.float32, device=device)


class PlaceDetector(ProposingDetector):
    """R-FCN: proposals are told apart by place; their shifts are of no class."""

    options = ("hardest", *ProposingDetector.options)

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        boxes = truth.boxes - truth.boxes.new_tensor(LAST_PIXEL)
        chances, shifts = said["scores"][..., 0], said["shifts"][..., 0]
        units = self.units(chances.device)
        told = region_loss(chances, shifts, self.regions(said), boxes, truth.labels, units, self.given.hardest)
        return self.proposed(said, truth) + told

    def found(self, said: Said) -> FoundBoxes:
        proposals = self.regions(said)
        there = (proposals != 0).any(1)
        shifts = said["shifts"][-4:, :, 0].T * torch.tensor(self.given.deviations)
        return self.best(moved_boxes(proposals, shifts)[there], said["scores"][:, :, 0][:, there])


class CutDetector(ProposingDetector):
    """Faster R-CNN: cells cut out of one map; shifts of each class."""

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        return self.proposed(said, truth, SHARP) + self.told_apart(said, truth)

    def told_apart(self, said: Said, truth: FrameTruth) -> Tensor:
        """The loss of what is in regions.  ()"""
        regions, chances = self.regions(said), said["scores"][..., 0].T
        shifts = said["shifts"][..., 0].T.unflatten(1, (-1, 4))
        there = (regions != 0).any(1, keepdim=True)
        edges = torch.where(there, regions + regions.new_tensor(LAST_PIXEL), 0.0)
        scores = chances.clamp(min=torch.finfo(chances.dtype).tiny).log()
        keys, units = random_keys(truth.seed + AGAIN, len(edges)), self.units(chances.device)
        boxes, labels = truth.boxes, truth.labels
        drawn: dict[str, Any] = dict(many=CUT_REGIONS, things=CUT_THINGS, sharp=1.0)
        return region_classes_loss(scores, shifts, edges, boxes, labels, units, keys, **drawn)

    def found(self, said: Said) -> FoundBoxes:
        regions = self.regions(said)
        there = (regions != 0).any(1)
        shifts = said["shifts"][..., 0].unflatten(0, (-1, 4)).transpose(1, 2) * torch.tensor(self.given.deviations)
        moved = torch.stack([moved_boxes(regions, one)[there] for one in shifts])
        return self.best(moved, said["scores"][:, :, 0][:, there])


class GivenDetector(CutDetector):
    """Fast R-CNN: the same of boxes that are given with the clip."""

    options = ("deviations", "least_score", "overlap", "most")
    needed = ("scores", "shifts", GIVEN)

    @property
    def given_boxes(self) -> str:
        return str(self.head.boxes)

    def regions(self, said: Said) -> Tensor:
        return said[GIVEN][..., 0].T

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        return self.told_apart(said, truth)


class AnchoredKind(DetectorKind):
    """Anchors on several maps; the network itself says which boxes are the best."""

    needed = ("detections",)

    def anchors(self, device: torch.device) -> Tensor:
        """(n, 4)"""
        op = self.op_of(ops.Anchors)
        return anchor_boxes(op.sides, op.sizes, op.steps, op.offset).T.to(device, torch.float32)

    def units(self, device: torch.device) -> Tensor:
        """What shifts count in."""
        return torch.tensor([float(x) for x in self.head.deviations], device=device)

    def found(self, said: Said) -> FoundBoxes:
        label, chance, *corners = said["detections"][..., 0]
        there = chance > 0
        return FoundBoxes(torch.stack(corners, 1)[there], label[there].long(), chance[there])


class PyramidDetector(AnchoredKind):
    """Faster R-CNN on a pyramid; masks and key points of boxes are learnt by `shape_detection`."""

    joining = (0.0, 0.0, 0.0, 0.0)

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        device = said["scores"].device
        anchors, scores = self.anchors(device), said["anchor_scores"][0, :, 0]
        keys = random_keys(truth.seed, len(anchors))
        proposed = objectness_loss(scores, said["anchor_shifts"][..., 0].T, anchors, truth.boxes, keys)
        told, proposals = said["scores"][..., 0].T, said["proposals"][2:, :, 0].T
        shifts = said["shifts"][..., 0].T.unflatten(1, (-1, 4))
        keys = random_keys(truth.seed + AGAIN, len(proposals))
        return proposed + region_classes_loss(
            told, shifts, proposals, truth.boxes, truth.labels, self.units(device), keys
        )


class SingleShot(AnchoredKind):
    """RetinaNet where scores are sigmoids, SSD where they are a softmax."""

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        device = said["scores"].device
        loss = focal_loss if self.head.act == "sigmoid" else multibox_loss
        scores, shifts = said["scores"][..., 0].T, said["shifts"][..., 0].T
        return loss(scores, shifts, self.anchors(device), truth.boxes, truth.labels, self.units(device))


class CellDetector(AnchoredKind):
    """YOLO versions 2 and 3: anchors say whether they hold a thing, and which."""

    beside = -1

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        cells = cells_of(self.op_of(ops.Anchors), said["scores"].device)
        scores, shifts, things = (said[name][..., 0].T for name in ("scores", "shifts", "objectness"))
        return cells_loss(scores, things[:, 0], shifts, cells, self.size, truth.boxes, truth.labels, self.head.act)


class WholeGrid(DetectorKind):
    """YOLO version 1: one layer says all cells of a grid."""

    options = ("least_score", "overlap", "most")
    needed = ("scores", "shifts", "objectness")
    beside = -1

    def cells(self, said: Said) -> tuple[Tensor, Tensor, Tensor]:
        """(scores, whether boxes hold things, shifts) of each cell.  (cells, classes), (cells, b), (cells, b, 4)"""
        scores, things, shifts = (said[name][..., 0].T for name in ("scores", "objectness", "shifts"))
        each = (len(scores), self.head.boxes)
        return scores, things[:, 0].unflatten(0, each), shifts.unflatten(0, each)

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        return grid_loss(*self.cells(said), truth.boxes / self.sides(truth.boxes), truth.labels)

    def found(self, said: Said) -> FoundBoxes:
        scores, things, shifts = self.cells(said)
        boxes = (grid_boxes(shifts, self.head.side) * self.sides(shifts)).flatten(0, 1)
        chances = (scores[:, None] * things[..., None]).flatten(0, 1).T
        return self.best(boxes - boxes.new_tensor(LAST_PIXEL), torch.cat([torch.zeros_like(chances[:1]), chances]))


class QueryDetector(DetectorKind):
    """DETR: each query says a box or none; class 0 of the data stands among its classes and is never true."""

    options = ("least_score", "most")
    needed = ("scores", "boxes")
    parts = 2
    beside = 1

    def amounts(self, truth: FrameTruth) -> Tensor:
        return set_amounts(self.head.queries, truth.boxes)

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        first, last = (truth.boxes / self.sides(truth.boxes)).split(2, 1)
        true = torch.cat([(first + last) / 2, last - first], 1)
        return set_loss(said["scores"][..., 0].T, said["boxes"][..., 0].T, true, truth.labels)

    def found(self, said: Said) -> FoundBoxes:
        """Of each query the class that it holds likeliest; nothing is suppressed."""
        chances, label = said["scores"][..., 0].T.softmax(1)[:, 1:-1].max(1)
        boxes = corners_from(said["boxes"][..., 0].T) * self.sides(chances)
        kept = chances.argsort(descending=True, stable=True)[: self.given.most]
        kept = kept[chances[kept] > self.given.least_score]
        return FoundBoxes(boxes[kept], label[kept] + 1, chances[kept])


def detector_kind(plan: Plan, options: Any) -> DetectorKind:
    """The kind of a network's head. Raises SpecError for one whose loss there is not."""
    match head := plan.arch.head:
        case Detector():
            cut = GivenDetector if head.boxes else CutDetector
            return (cut if head.region else PlaceDetector)(plan, options)
        case RegionDetector():
            return PyramidDetector(plan, options)
        case AnchorDetector():
            return (CellDetector if head.objectness else SingleShot)(plan, options)
        case GridDetector():
            return WholeGrid(plan, options)
        case SetDetector():
            return QueryDetector(plan, options)
    want = "detector, region_detector, anchor_detector, grid_detector or set_detector"
    raise SpecError(
        f"no loss of boxes for {plan.name}", at="head", written=head.written, got=type(head).__name__, want=want
    )
