"""Detection of things with a mask, or key points, of each (Mask R-CNN, arXiv:1703.06870)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedFrames
from archdsl.training.data.annotations.boxes.coco_folder import coco_data, coco_folder, coco_list
from archdsl.training.data.annotations.boxes.shaped_frames import ShapedFrames, mask_outline, point_reader
from archdsl.training.data.annotations.key_points import mirror_of, names_of_points
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.synthetic.boxed_scenes import BoxedScenes
from archdsl.training.data.synthetic.shaped_scenes import ShapedScenes
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import UNLABELLED, move_labels, move_points
from archdsl.training.evaluation.boxes.box_scores import BoxScores
from archdsl.training.evaluation.boxes.shape_scores import FoundShapes, ShapePredictions, ShapeScores
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.tasks.base import Outputs, TaskOptions
from archdsl.training.tasks.boxes.anchor_losses import NOTHING, matched_boxes
from archdsl.training.tasks.boxes.detection import Detection, DetectionOptions
from archdsl.training.tasks.boxes.detectors import FrameTruth
from archdsl.training.tasks.boxes.shape_losses import (
    mask_loss,
    mask_overlaps,
    places_in_boxes,
    point_likeness,
    point_loss,
    whole_masks,
)

HOLDS = 0.5
"""Overlap of a given box and a thing whose shape it learns."""


class ShapeDetection(Detection):
    """Targets also have `true_masks` [(n, h, w)] or `true_points` [(n, points, 3)] of all things, on the crop.

    Shapes are learnt of the boxes that the network gives, where they overlap a thing by a half (torchvision draws among
    its proposals): there are none before it gives any. They are compared in pixels of what the network sees.
    """

    name = "shape_detection"
    options_kind: ClassVar[type[TaskOptions]] = DetectionOptions

    @property
    def points(self) -> int:
        """Key points of each thing; 0 where there are masks."""
        return self.plan.outputs["keypoints"][0] if "keypoints" in self.plan.outputs else 0

    @property
    def shape(self) -> str:
        """The output of shapes, and what targets of them are called behind `true_`."""
        return "points" if self.points else "masks"

    # data

    def built_in(self, data: str, split: str) -> BoxedScenes:
        return ShapedScenes(**vars(super().built_in(data, split)), points=self.points)

    def files(self, data: str, split: str) -> BoxedFrames:
        """COCO's folder, with masks in instances or points in person_keypoints."""
        clips, root = self.plan.arch.clips, Path(data)
        check_modalities(clips)
        kind = "person_keypoints" if self.points else "instances"
        if (found := coco_list(root, split, kind)) is None:
            want = f"motion, or a folder with COCO's annotations/{kind}_train2017.json"
            raise SpecError(f"no folder of pictures with {self.shape}", got=excerpt(data), want=want)
        lists, mirror = coco_data(found), tuple[int, ...]()
        if self.points:
            names = names_of_points(found, lists)[0]
            self.check_points(len(names))
            mirror = tuple(mirror_of(names))
        read = point_reader(self.points) if self.points else mask_outline
        made = coco_folder(root, found, lists, clips, self.kind.classes, read)
        return ShapedFrames(**vars(made), mirror=mirror)

    def check_points(self, there: int) -> None:
        """Raises SpecError where things of the data have other points than those of the network."""
        if there != self.points:
            raise SpecError(
                f"{self.plan.name} knows another number of points than the data",
                at="head",
                written=self.plan.arch.head.written,
                got=f"{self.points} points",
                want=f"{there}",
            )

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        raise SpecError(f"no files of built-in data with {self.shape}", got=self.name, fix="leave out --net")

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """All shapes on the crop; `kept` are those of boxes that the crop shows."""
        moved = super().moved(targets | {"at": [torch.arange(len(targets["at"][0]))]}, cut)
        (kept,) = moved["at"]
        return moved | {
            "at": [targets["at"][0][kept]],
            "kept": [kept],
            f"true_{self.shape}": [self.on_crop(targets, cut)],
        }

    def on_crop(self, targets: Targets, cut: Cut) -> Tensor:
        """Every shape, as the crop has it."""
        (shapes,) = targets[f"true_{self.shape}"]
        if self.points:
            return move_points(shapes, cut, targets["mirror"])
        return torch.where((found := move_labels(shapes, cut)) == UNLABELLED, 0, found)

    def blank(self, videos: Videos) -> Targets:
        nothing = torch.zeros(0, self.points, 3) if self.points else torch.zeros(0, *self.kind.size, dtype=torch.uint8)
        more: dict[str, Any] = {"kept": [torch.zeros(0, dtype=torch.long)], f"true_{self.shape}": [nothing]}
        return super().blank(videos) | more | ({"mirror": torch.arange(self.points)} if self.points else {})

    def target_bytes(self) -> int:
        """Masks of a typical number of things."""
        height, width = self.kind.size
        return super().target_bytes() + TYPICAL_SHAPES * (12 * self.points if self.points else height * width)

    # loss

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        assert isinstance(outputs, dict)
        shapes = [self.shape_loss(outputs, batch, row, known) for row, known in enumerate(self.truths(batch))]
        return super().loss(outputs, batch, totals) + torch.stack(shapes) / totals.clamp(min=1)[0]

    def shape_loss(self, outputs: dict[str, Tensor], batch: Batch, row: int, known: Mapping[int, FrameTruth]) -> Tensor:
        """Of the labelled frames of a clip.  ()"""
        said = self.by_frame(outputs, row)
        (true,), (kept,) = batch.targets[f"true_{self.shape}"][row], batch.targets["kept"][row]
        (places,), (ignored,) = batch.targets["at"][row], batch.targets["ignored"][row]
        losses = [0.0 * said.sum()]
        for at, truth in known.items():
            boxes, there = given_boxes(outputs, row, at)
            found = matched_boxes(boxes, truth.boxes, HOLDS, HOLDS)
            found = torch.where(there, found, NOTHING)
            shapes = true[kept][(places == at) & ~ignored]
            if self.points:
                losses.append(point_loss(said[at], boxes, found, shapes))
            else:
                losses.append(mask_loss(said[at], boxes, found, shapes, truth.labels))
        return torch.stack(losses).sum()

    def by_frame(self, outputs: Mapping[str, Tensor], row: int) -> Tensor:
        """What is said of each given box of a clip.  (t, given, channels, s, s)"""
        said = outputs["keypoints" if self.points else "masks"][row].float()
        return said.transpose(0, 1).unflatten(0, (self.frames, -1))

    # evaluation

    def said(self, outputs: Outputs) -> list[Any]:
        """Boxes of every frame of each clip, with their shapes in pixels of the crop."""
        assert isinstance(outputs, dict)
        clips = []
        for row, frames in enumerate(super().said(outputs)):
            said = self.by_frame(outputs, row).cpu()
            shapes = []
            for at, boxes in enumerate(frames):
                _, there = given_boxes(outputs, row, at)
                mine = said[at][there.cpu()]
                if self.points:
                    shapes.append(FoundShapes(boxes, None, places_in_boxes(mine, boxes.boxes)))
                else:
                    chances = mine[torch.arange(len(mine)), boxes.labels].sigmoid()
                    shapes.append(FoundShapes(boxes, whole_masks(chances, boxes.boxes, self.kind.size), None))
            clips.append(shapes)
        return clips

    def judged(self, said: list[Any], target: Targets) -> list[Any]:
        """(place in the clip, frame, how much found things are like true ones) of the labelled frames."""
        (at,), (true,), (ignored,) = target["true_at"], target[f"true_{self.shape}"], target["true_ignored"]
        (boxes,), start, step = target["true_boxes"], target["place"][:2].repeat(2), target["place"][2:].repeat(2)
        found = []
        for place, frame in super().judged([one.boxes for one in said], target):
            mine = at == place
            if self.points:
                on_crop = ((boxes - start) / step)[mine]
                like = point_likeness(said[place].points, true[mine], on_crop)
            else:
                like = mask_overlaps(said[place].masks, true[mine], ignored[mine])
            found.append((place, frame, like))
        return found

    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> BoxScores:
        boxes = {index: [(place, frame) for place, frame, _ in some] for index, some in found.items()}
        likeness = tuple(like for some in found.values() for *_, like in some)
        noun = "point" if self.points else "mask"
        return ShapeScores(**vars(super().results(boxes, videos, skipped)), likeness=likeness, noun=noun)

    # predictions

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> ShapePredictions:
        """What is found in every frame that was seen, its shapes in colour."""
        bare = [view._replace(said=[one.boxes for one in view.said]) for view in views]
        made = super().prediction(path, bare, names, top)
        shapes = tuple(one for view in views for one in view.said)
        frames = tuple(seen._replace(frame=one.drawn(seen.frame)) for seen, one in zip(made.frames, shapes))
        return ShapePredictions(**vars(made) | {"frames": frames}, shapes=shapes)


TYPICAL_SHAPES = 16
"""Things that a clip's targets are taken to show, where their memory is told beforehand."""


def given_boxes(outputs: Mapping[str, Tensor], row: int, at: int) -> tuple[Tensor, Tensor]:
    """(corners of the boxes that a network gives in a frame, whether there is one).  (given, 4), (given,) of bool"""
    found = outputs["detections"][row, :, at, :, 0].detach().float()
    return found[2:].T, found[1] > 0
