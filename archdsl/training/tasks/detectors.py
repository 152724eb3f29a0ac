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
from archdsl.language import AnchorDetector, Detector, RegionDetector
from archdsl.training.evaluation.found_boxes import FoundBoxes, found_boxes, moved_boxes
from archdsl.training.tasks.anchor_losses import focal_loss, multibox_loss, objectness_loss, region_classes_loss
from archdsl.training.tasks.region_losses import anchors_on, proposal_loss, random_keys, region_loss

LAST_PIXEL = (0.0, 0.0, 1.0, 1.0)
"""From a corner at the edge of a pixel to the last pixel."""
AGAIN = 1
"""Added to the seed of a second draw."""
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

    def __init__(self, plan: Plan, options: Any) -> None:
        self.plan, self.given = plan, options
        self.head: Any = plan.arch.head
        shape = next(iter(plan.arch.clips.values())).shape
        self.size = (shape.h, shape.w)

    @property
    def classes(self) -> int:
        """The background among them."""
        return self.plan.outputs["scores"][0]

    def op_of(self, kind: type[ops.Op]) -> Any:
        """The first op of a kind."""
        return next(node.op for node in self.plan.nodes if isinstance(node.op, kind))

    @abstractmethod
    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        """Of one frame.  ()"""

    @abstractmethod
    def found(self, said: Said) -> FoundBoxes:
        """In one frame, on the CPU."""


class PlaceDetector(DetectorKind):
    """R-FCN: proposals of one map, told apart by place; their shifts are of no class."""

    options = ("hardest", "border", "deviations", "least_score", "overlap", "most")
    needed = ("proposals", "scores", "shifts")

    def loss(self, said: Said, truth: FrameTruth) -> Tensor:
        op, scores = self.op_of(ops.Proposals), said["anchor_scores"]

        def numbers(values: Any) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=scores.device)

        boxes = truth.boxes - numbers(LAST_PIXEL)
        anchors = anchors_on((scores.shape[1], scores.shape[2]), op.step, numbers(op.anchors))
        keys = random_keys(truth.seed, len(anchors))
        proposed = proposal_loss(
            scores,
            said["anchor_shifts"],
            anchors,
            boxes,
            self.size,
            keys,
            numbers(op.deviations),
            self.given.border,
        )
        chances, shifts = said["scores"][..., 0], said["shifts"][..., 0]
        proposals, units = said["proposals"][1:, :, 0].T, numbers(self.given.deviations)
        return proposed + region_loss(chances, shifts, proposals, boxes, truth.labels, units, self.given.hardest)

    def found(self, said: Said) -> FoundBoxes:
        proposals = said["proposals"][1:, :, 0].T
        there = (proposals != 0).any(1)
        shifts = said["shifts"][-4:, :, 0].T * torch.tensor(self.given.deviations)
        boxes, chances = moved_boxes(proposals, shifts)[there], said["scores"][:, :, 0][:, there]
        given = self.given
        return found_boxes(boxes, chances, self.size, least=given.least_score, overlap=given.overlap, most=given.most)


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
    """Faster R-CNN on a pyramid. Masks and key points of boxes are not learnt."""

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


def detector_kind(plan: Plan, options: Any) -> DetectorKind:
    """The kind of a network's head. Raises SpecError for one whose loss there is not."""
    match head := plan.arch.head:
        case Detector():
            return PlaceDetector(plan, options)
        case RegionDetector():
            return PyramidDetector(plan, options)
        case AnchorDetector(objectness=False):
            return SingleShot(plan, options)
    raise SpecError(
        f"no loss of boxes for {plan.name}",
        at="head",
        written=head.written,
        got="objectness: true" if isinstance(head, AnchorDetector) else type(head).__name__,
        want="detector, region_detector, or anchor_detector without objectness",
    )
