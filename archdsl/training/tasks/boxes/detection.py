"""Object detection in frames: R-FCN, also with Deep Feature Flow, Fast and Faster R-CNN, RetinaNet, SSD, YOLO, DETR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from archdsl.backend.runtime.regions.true_boxes import among_true_boxes
from archdsl.compiler import Plan
from archdsl.compiler.true_boxes import TRUE_BOXES, with_true_boxes
from archdsl.errors import SpecError, excerpt
from archdsl.language import AnchorDetector, Arch, Detector, GridDetector, RegionDetector, SetDetector
from archdsl.language.heads.detector import Deviations
from archdsl.spec.scalars import Count, Share, Whole
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedFrames, detection_targets
from archdsl.training.data.annotations.boxes.coco_folder import coco_data, coco_folder, coco_list
from archdsl.training.data.annotations.boxes.key_frame_boxes import CORNERS
from archdsl.training.data.annotations.boxes.vid_folder import BACKGROUND, vid_folder
from archdsl.training.data.annotations.boxes.vid_writer import write_vid
from archdsl.training.data.annotations.boxes.voc_folder import voc_folder, voc_years
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.reader.backends import decode_clip
from archdsl.training.data.sources.built_in import built_in_named
from archdsl.training.data.sources.pictures import is_of_pictures, read_pictures
from archdsl.training.data.synthetic.boxed_scenes import WITH_ANY, BoxedScenes
from archdsl.training.data.synthetic.truth import DIGIT_NAMES
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.data.transforms.crops import view_crop
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import move_boxes
from archdsl.training.data.transforms.normalisation import pixels_of
from archdsl.training.evaluation.boxes.box_precision import FoundFrame
from archdsl.training.evaluation.boxes.box_scores import BoxPredictions, BoxScores, SeenFrame
from archdsl.training.evaluation.boxes.found_boxes import FoundBoxes
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.tasks.base import Outputs, Task, TaskOptions, check_one_view
from archdsl.training.tasks.boxes.action_detection import areas, no_targets
from archdsl.training.tasks.boxes.detectors import GIVEN, DetectorKind, FrameTruth, detector_kind

TYPICAL_BOXES = 64
"""Boxes that a clip's targets are taken to have, where their memory is told beforehand."""
BYTES_OF_A_TRUE_BOX = 4 * 4 + 8 + 8 + 1
LAYOUTS = "ILSVRC2015 (ImageSets, Data, Annotations), VOCdevkit, or COCO's annotations/instances_train2017.json"


class DetectionOptions(TaskOptions):
    """What is learnt of boxes, what of them is kept, and how pictures are paired."""

    hardest: Count = Field(128, description="proposals of a frame that are learnt: those of the largest losses (OHEM)")
    deviations: Deviations = Field((0.1, 0.1, 0.2, 0.2), description="what shifts of proposals (x, y, w, h) count in")
    border: Whole = Field(
        0,
        description="pixels by which anchors may stick out of the frame and still be learnt; frames that are hardly "
        "larger than their anchors need some",
    )
    reach: Whole = Field(9, description="how far a key frame may lie before the labelled one, in clips of two frames")
    mirrored: bool = Field(False, description="whether an epoch shows every picture of a folder and its mirror image")
    least_score: Share = Field(1e-4, description="of boxes that are kept")
    overlap: Share = Field(0.3, description="of two boxes of a class, beyond which the better one alone is kept")
    most: Count = Field(300, description="boxes of a frame that are kept")
    metric: Literal["auto", "vid", "voc", "voc07", "coco"] = Field(
        "auto", description="whose rules figures follow: auto, the data's; vid, voc, voc07 (11 recalls) or coco"
    )


class Detection(Task):
    """Targets are those of `detection_targets`: some frames of a clip are labelled, the loss is the mean over them."""

    name = "detection"
    options_kind: ClassVar[type[TaskOptions]] = DetectionOptions

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        if built_in:
            return "smoke"
        match head := arch.head:
            case AnchorDetector(objectness=True):
                return "yolo_coco" if head.act == "sigmoid" else "yolo_voc"
            case AnchorDetector():
                return "retinanet_coco" if head.act == "sigmoid" else "ssd_coco"
            case GridDetector():
                return "yolo_v1_voc"
            case SetDetector():
                return "detr_coco"
            case RegionDetector():
                return "fasterrcnn_coco"
            case Detector() if head.region:
                return "faster_rcnn_voc"
        return "resnet_v1_101_imagenet_vid_rfcn_end2end_ohem"

    @cached_property
    def kind(self) -> DetectorKind:
        """How the head's outputs are learnt and read. Raises SpecError for options that it does not read."""
        kind = detector_kind(self.plan, self.options)
        unread = sorted({*self.options.model_fields_set} - {*kind.options, "reach", "mirrored", "metric"})
        if unread:
            raise SpecError(
                f"an option that {self.plan.name} does not read",
                at=f"recipe.task.detection.{unread[0]}",
                written=self.recipe.written,
                got=unread[0],
                want=", ".join((*kind.options, "reach", "mirrored", "metric")),
                fix="leave it out: the head's own fields say which boxes are given",
            )
        return kind

    # data

    def videos(self, data: str, split: str) -> Videos:
        check_one_view(self.recipe, "boxes")
        return super().videos(data, split)

    def built_in(self, data: str, split: str) -> BoxedScenes:
        """A box around each digit in every frame; classes beyond the digits' are unused. Of two one is any digit."""
        count, seed, still = built_in_named(data, split)
        unused = (f"unused {i}" for i in range(len(DIGIT_NAMES) + 1, self.kind.classes))
        names = (BACKGROUND, "digit") if self.kind.classes == WITH_ANY else (BACKGROUND, *DIGIT_NAMES, *unused)
        return BoxedScenes(count, seed, self.plan.arch.clips, no_targets, names, frozen=still)

    def files(self, data: str, split: str) -> BoxedFrames:
        """ILSVRC2015's, VOC's or COCO's folder."""
        clips, root = self.plan.arch.clips, Path(data)
        check_modalities(clips)
        if (found := coco_list(root, split)) is not None:
            return coco_folder(root, found, coco_data(found), clips, self.kind.classes)
        if (
            any((one / "ImageSets").is_dir() for one in (root, root / "ILSVRC2015", root / "ILSVRC"))
            and not (root / "ImageSets/Main").is_dir()
        ):
            return vid_folder(root, split, clips, self.options.reach, mirrored=self.options.mirrored)
        if root.is_dir() and voc_years(root):
            return voc_folder(root, split, clips)
        raise SpecError("no folder of pictures with boxes", got=excerpt(data), want=f"motion, or {LAYOUTS}")

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """ILSVRC2015's folder."""
        return write_vid(out, {split: self.built_in(f"motion:{count}", split) for split, count in counts.items()})

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        if (self.kind.classes, self.plan.outputs["scores"][1]) != (len(classes), self.frames):
            raise SpecError(
                f"{self.plan.name} has other classes than {'its run' if of_run else 'the boxes'}",
                at="head",
                written=self.plan.arch.head.written,
                got=f"scores of shape {self.plan.outputs['scores']}",
                want=f"({len(classes) + self.kind.beside}, {self.frames}, ...): {', '.join(classes[:4])}, ...",
                fix=None if learnt else f"--classes {len(classes) + self.kind.beside}",
            )

    # targets

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """Boxes on the crop, and how to go back to the frame; what the crop does not show is left out."""
        (boxes,) = targets["boxes"]
        moved = move_boxes(boxes, cut)
        seen = areas(moved) > 0
        place = [cut.columns.start, cut.rows.start, cut.columns.step, cut.rows.step]
        kept = {name: [targets[name][0][seen]] for name in ("labels", "ignored", "at")}
        return targets | kept | {"boxes": [moved[seen]], "place": torch.tensor(place)}

    def blank(self, videos: Videos) -> Targets:
        return detection_targets({}, self.frames, 0)

    def target_bytes(self) -> int:
        return 2 * TYPICAL_BOXES * BYTES_OF_A_TRUE_BOX + 4 * self.frames

    # loss

    @cached_property
    def trained(self) -> Plan:
        """Where the network proposes boxes, with true ones among its proposals."""
        proposing = self.kind.joining is not None and self.kind.given_boxes is None
        return with_true_boxes(self.plan) if proposing else self.plan

    def inputs(self, clips: Clips, batch: Batch | None = None) -> Clips:
        """Boxes that are given with a clip have true ones among them, too."""
        given = self.kind.given_boxes
        if self.kind.joining is None or (given is not None and batch is None):
            return clips
        named = clips if isinstance(clips, dict) else {next(iter(self.plan.inputs)): clips}
        count = self.plan.outputs["proposals" if given is None else "scores"][2]
        first = next(iter(named.values()))
        true = first.new_zeros(len(first), CORNERS, self.frames, count, 1)
        for row, known in enumerate(self.truths(batch) if batch else ()):
            for at, truth in known.items():
                boxes = truth.boxes[:count] - truth.boxes.new_tensor(self.kind.joining)
                true[row, :, at, : len(boxes), 0] = boxes.T
        if given is None:
            return {**named, TRUE_BOXES: true}
        return {**named, given: among_true_boxes(named[given].transpose(2, 3), true).transpose(2, 3)}

    def amounts(self, batch: Batch) -> Tensor:
        """Labelled frames, by default; what they count in each part of the loss.  (n, parts)"""
        nothing = batch.weights.new_zeros(self.kind.parts)
        return torch.stack([sum(map(self.kind.amounts, one.values()), nothing) for one in self.truths(batch)])

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Of proposals and of what is in them, the mean over all labelled frames of the step."""
        assert isinstance(outputs, dict)
        given = self.kind.given_boxes
        said = outputs if given is None else self.beside_given(outputs, self.inputs(batch.clips, batch))
        losses = [self.clip_loss(said, row, known) for row, known in enumerate(self.truths(batch))]
        return (torch.stack(losses) / totals.clamp(min=1)).sum(1)

    def clip_loss(self, outputs: dict[str, Tensor], row: int, known: Mapping[int, FrameTruth]) -> Tensor:
        """The parts of a clip's loss.  (parts,)"""
        losses = []
        for at, truth in known.items():
            said = {name: x[row, :, at].float() for name, x in outputs.items() if x.shape[2] == self.frames}
            losses.append(self.kind.loss(said, truth).reshape(self.kind.parts))
        if not losses:
            nothing = torch.stack([0.0 * x[row].float().sum() for x in outputs.values()]).sum()
            return nothing.expand(self.kind.parts)
        return torch.stack(losses).sum(0)

    def beside_given(self, outputs: dict[str, Tensor], clips: Clips) -> dict[str, Tensor]:
        """Outputs, and the boxes that clips have beside their frames."""
        if self.kind.given_boxes is None:
            return outputs
        assert isinstance(clips, dict)
        return {**outputs, GIVEN: clips[self.kind.given_boxes].transpose(2, 3)}

    def truths(self, batch: Batch) -> list[dict[int, FrameTruth]]:
        """What is true of each labelled frame of every clip."""
        found = []
        for row, labelled in enumerate(batch.targets["labelled"].tolist()):
            (boxes,), (labels,), (ignored,), (places,) = (
                batch.targets[name][row] for name in ("boxes", "labels", "ignored", "at")
            )
            frames = [at for at, known in enumerate(labelled) if known]
            kept = {at: (places == at) & ~ignored for at in frames}
            seed = batch.targets["seed"][row]
            found.append({at: FrameTruth(boxes[mine], labels[mine], seed + at) for at, mine in kept.items()})
        return found

    # evaluation

    def said_of(self, outputs: Outputs, batch: Batch) -> list[list[FoundBoxes]]:
        assert isinstance(outputs, dict)
        return self.said(self.beside_given(outputs, batch.clips))

    def said(self, outputs: Outputs) -> list[list[FoundBoxes]]:
        """What is found in every frame of each clip, in pixels of the crop."""
        assert isinstance(outputs, dict)
        found = {name: outputs[name].float().cpu() for name in self.kind.needed}
        clips = range(len(next(iter(found.values()))))
        check_finite({f"clip {i}": torch.cat([x[i].flatten() for x in found.values()]) for i in clips})
        return [
            [self.kind.found({name: x[row, :, at] for name, x in found.items()}) for at in range(self.frames)]
            for row in clips
        ]

    def judged(self, said: list[FoundBoxes], target: Targets) -> list[tuple[int, FoundFrame]]:
        """(place in the clip, frame) of the labelled frames, in pixels of the whole frame."""
        start, step = target["place"][:2].repeat(2), target["place"][2:].repeat(2)
        (boxes,), (labels,), (ignored,), (at,) = (
            target[f"true_{name}"] for name in ("boxes", "labels", "ignored", "at")
        )
        frames = []
        for place in target["labelled"].nonzero()[:, 0].tolist():
            found, mine = said[place], at == place
            whole = found.boxes * step + start
            true = (boxes[mine], labels[mine], ignored[mine])
            frames.append((place, FoundFrame(whole, found.labels, found.scores, *true)))
        return frames

    def joined(self, one: Any, other: Any) -> Any:
        """Each view has frames of its own."""
        return [*one, *other]

    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> BoxScores:
        named = [(videos.name(index), place, one) for index, some in found.items() for place, one in some]
        several = self.frames > 1
        names = tuple(f"{name}#{place}" if several else name for name, place, _ in named)
        frames = tuple(one for *_, one in named)
        if not any((~one.ignored).any() for one in frames):
            raise SpecError("nothing to find", got=f"{len(frames)} frames without boxes", want="boxes in some")
        metric = self.options.metric
        metric = getattr(videos, "metric", "voc") if metric == "auto" else metric
        return BoxScores(names, videos.classes, metric, frames, skipped=skipped)

    # predictions

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or (BACKGROUND, *(f"class {i}" for i in range(1, self.kind.classes))))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> BoxPredictions:
        """What is found in every frame that was seen."""
        clip = next(iter(self.plan.arch.clips.values()))
        drawn = clip.modality == "rgb" and clip.shape.c == 3
        size = frame_size(path)
        cut = view_crop(0, 1, size, self.recipe.views.short_side, self.kind.size)
        frames = []
        for view in views:
            shown = view.clips.float()
            pixels = pixels_of(shown, self.recipe.values) if drawn else torch.zeros(3, *shown.shape[1:])
            step = (view.end - view.start) / max(self.frames - 1, 1)
            frames += [
                SeenFrame(view.start + i * step, pixels[:, i].to(torch.uint8), found, on_frame(found.boxes, cut, size))
                for i, found in enumerate(view.said)
            ]
        return BoxPredictions(path, names, top, size, tuple(frames))


def frame_size(path: Path) -> tuple[int, int]:
    """(height, width) of a file's first frame."""
    if is_of_pictures(path):
        pixels, _ = read_pictures(path, str(path), lambda index: [0])
    else:
        pixels, _ = decode_clip(path, str(path), lambda index: [0])
    return pixels.shape[2], pixels.shape[3]


def on_frame(boxes: Tensor, cut: Cut, size: tuple[int, int]) -> Tensor:
    """Boxes of a crop in pixels of its frame, within the frame of (height, width).  (n, 4) -> (n, 4)"""
    start, step = ([getattr(axis, name) for axis in (cut.columns, cut.rows)] * 2 for name in ("start", "step"))
    moved = boxes * boxes.new_tensor(step) + boxes.new_tensor(start)
    return torch.minimum(moved.clamp(min=0), moved.new_tensor([size[1], size[0]] * 2))
