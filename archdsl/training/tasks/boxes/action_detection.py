"""Action detection on given boxes (AVA): what each person does, several things at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from archdsl.errors import SpecError
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.scalars import Real, Share
from archdsl.training.data.annotations.boxes.ava_folder import AvaReading, ava_folder
from archdsl.training.data.annotations.boxes.ava_writer import write_ava
from archdsl.training.data.annotations.boxes.boxes_beside import file_with_boxes
from archdsl.training.data.annotations.boxes.key_frame_boxes import KeyFrames
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.sources.built_in import built_in_named
from archdsl.training.data.synthetic.key_frame_scenes import KeyFrameScenes
from archdsl.training.data.synthetic.truth import MOTION_NAMES
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import move_boxes
from archdsl.training.data.transforms.normalisation import FRAMELESS, pixels_of
from archdsl.training.evaluation.average_precision import FrameActions
from archdsl.training.evaluation.boxes.action_scores import ActingBox, ActingFrame, ActionScores, BoxActions
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite, top_scores
from archdsl.training.tasks.base import Outputs, Task, TaskOptions

BYTES_OF_A_BOX = 4 * (4 + 1 + 2 * 8)
"""Of its corners, its share and both lists of boxes, beside its labels."""


class ActionDetectionOptions(TaskOptions):
    """What is read of AVA's folder."""

    begins: Annotated[Real, Field(ge=0)] = Field(
        900.0, description="second of the movie at which a video's file, or its pictures, begin"
    )
    least_score: Share = Field(0.8, description="of predicted boxes: those that score less are left out")


class ActionDetection(Task):
    """Targets are those of `box_targets`. A box counts by itself: the loss is the mean over boxes that a crop shows."""

    name = "action_detection"
    options_kind: ClassVar[type[TaskOptions]] = ActionDetectionOptions

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke" if built_in else "slowfast_ava"

    # what the network reads

    @property
    def pictures(self) -> dict[str, Clip]:
        """Clips that are no boxes."""
        return {name: clip for name, clip in self.plan.arch.clips.items() if clip.modality != "boxes"}

    @property
    def boxes(self) -> tuple[str, int]:
        """(name of the clip of boxes, how many it has). Raises SpecError."""
        found = [(name, clip.frames) for name, clip in self.plan.arch.clips.items() if clip.modality == "boxes"]
        if len(found) != 1 or not any(clip.modality not in FRAMELESS for clip in self.pictures.values()):
            raise SpecError(
                f"{self.plan.name} does not read pictures and boxes",
                at="clips",
                written=self.plan.arch.written,
                got=", ".join(f"{name} of {clip.modality}" for name, clip in self.plan.arch.clips.items()),
                want="pictures, and one clip of boxes",
            )
        return found[0]

    @property
    def classes(self) -> int:
        """Of the network."""
        return next(iter(self.plan.outputs.values()))[0]

    # data

    def built_in(self, data: str, split: str) -> KeyFrameScenes:
        """Which way and how fast each digit moves, in the box that it has in the middle; further classes are unused."""
        self.boxes  # noqa: B018  raises
        count, seed, still = built_in_named(data, split)
        unused = tuple(f"unused {i}" for i in range(len(MOTION_NAMES), self.classes))
        names = (*MOTION_NAMES, *unused)
        return KeyFrameScenes(count, seed, self.plan.arch.clips, no_targets, names, multi_label=True, frozen=still)

    def files(self, data: str, split: str) -> KeyFrames:
        """AVA's folder."""
        return ava_folder(Path(data), split, self.reading)

    @property
    def reading(self) -> AvaReading:
        """How files are read. Raises SpecError."""
        name, room = self.boxes
        check_modalities(self.pictures)
        sampling = self.recipe.sampling
        if sampling.kind == "segments":
            raise SpecError(
                "segments of a video around a key frame",
                at="recipe.sampling.kind",
                written=sampling.written,
                got="segments",
                want="centre, or dense: both lie around the key frame",
                fix="--set recipe.sampling.kind=centre",
            )
        options = self.options
        return AvaReading(
            self.pictures, sampling.but(kind="centre"), name, room, float(options.begins), float(options.least_score)
        )

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """AVA's folder."""
        scenes = {split: self.built_in(f"motion:{count}", split) for split, count in counts.items()}
        return write_ava(out, scenes, float(self.options.begins))

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        _, room = self.boxes
        shapes = [*self.plan.outputs.values()]
        if shapes != [(len(classes), room)]:
            raise SpecError(
                f"{self.plan.name} has other classes than {'its run' if of_run else 'the key frames'}",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(f"{name} of shape {shape}" for name, shape in self.plan.outputs.items()),
                want=f"({len(classes)}, {room}): {', '.join(classes[:4])}{', ...' * (len(classes) > 4)}",
                fix=None if learnt or len(shapes) != 1 else f"--classes {len(classes)}",
            )

    # targets

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """Shares of boxes that a crop shows."""
        pixels = targets["pixels"]
        shown = areas(move_boxes(pixels, cut)) * cut.rows.step * cut.columns.step
        return targets | {"seen": torch.where(targets["seen"] > 0, shown / areas(pixels).clamp(min=1e-6), 0.0)}

    def blank(self, videos: Videos) -> Targets:
        _, room = self.boxes
        wide = torch.zeros(0, 4, dtype=torch.float64)
        return {
            "labels": torch.zeros(room, self.classes),
            "pixels": torch.zeros(room, 4),
            "seen": torch.zeros(room),
            "boxes": [wide],
            "true_boxes": [wide],
            "true_labels": [torch.zeros(0, self.classes)],
        }

    def target_bytes(self) -> int:
        return self.boxes[1] * (2 * 4 * self.classes + BYTES_OF_A_BOX)

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        """Boxes that are seen."""
        return (batch.targets["seen"] > 0).sum(1).float()

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Binary cross-entropy, the mean over classes and over all boxes of the step."""
        labels = batch.targets["labels"]
        losses = binary_cross_entropy_with_logits(rows_of_boxes(outputs).float(), labels, reduction="none").mean(2)
        return torch.where(batch.targets["seen"] > 0, losses, 0.0).sum(1) / totals.clamp(min=1)

    # evaluation

    def said(self, outputs: Outputs) -> list[Tensor]:
        """The score of each class in each box.  (boxes, classes) each"""
        return [*rows_of_boxes(outputs).float().sigmoid().cpu()]

    def judged(self, said: Tensor, target: Targets) -> JudgedBoxes:
        (boxes,), (true_boxes,), (true_labels,) = (target[name] for name in ("boxes", "true_boxes", "true_labels"))
        few = len(boxes)
        return JudgedBoxes(FrameActions(true_boxes, true_labels, boxes, said[:few]), target["seen"][:few])

    def joined(self, one: JudgedBoxes, other: JudgedBoxes) -> JudgedBoxes:
        """Each box as the view sees it that shows most of it."""
        better = other.seen > one.seen
        scores = torch.where(better[:, None], other.frame.scores, one.frame.scores)
        return JudgedBoxes(one.frame._replace(scores=scores), torch.maximum(one.seen, other.seen))

    def results(self, found: Mapping[int, JudgedBoxes], videos: Videos, skipped: tuple[str, ...]) -> ActionScores:
        parts: dict[str, list[FrameActions]] = {}
        for index, one in found.items():
            parts.setdefault(videos.name(index), []).append(one.frame)
        frames = {name: FrameActions(*map(torch.cat, zip(*some))) for name, some in parts.items()}
        check_finite({name: frame.scores for name, frame in frames.items()})
        tested = getattr(videos, "tested", tuple(range(self.classes)))
        if not any(frame.true_labels[:, list(tested)].any() for frame in frames.values()):
            raise SpecError("nobody does anything that is tested", got=f"{len(frames)} key frames", want="actions")
        return ActionScores(tuple(frames), videos.classes, tested, tuple(frames.values()), skipped=skipped)

    # predictions

    def check_inputs(self) -> None:
        self.reading  # noqa: B018  raises

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        return self.recipe, file_with_boxes(path, self.reading)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or (f"class {i}" for i in range(self.classes)))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> BoxActions:
        """The boxes of each key frame, in its first crop."""
        return BoxActions(path, tuple(self.acting(one, names, top) for one in views[:: self.recipe.views.crops]))

    def acting(self, view: ViewOutput, names: tuple[str, ...], top: int) -> ActingFrame:
        """A key frame of a file: its middle frame, in pixels where it is a picture of three colours."""
        name, _ = self.boxes
        boxes = view.clips[name][:, :, 0, 0].T
        shown, clip = next((name, clip) for name, clip in self.pictures.items() if clip.modality not in FRAMELESS)
        frames = view.clips[shown]
        frame = frames[:, frames.shape[1] // 2 : frames.shape[1] // 2 + 1]
        drawn = clip.modality == "rgb" and clip.shape.c == 3
        picture = pixels_of(frame.float(), self.recipe.values) if drawn else torch.zeros(3, 1, *frame.shape[2:])
        seen = [i for i, area in enumerate(areas(boxes).tolist()) if area > 0]
        found = [ActingBox(tuple(boxes[i].tolist()), top_scores(view.said[i], names, top)) for i in seen]
        return ActingFrame((view.start + view.end) / 2, picture[:, 0].to(torch.uint8), found)


class JudgedBoxes(NamedTuple):
    """A key frame, or a part of its boxes, and how much of each box the view shows."""

    frame: FrameActions
    seen: Tensor


def no_targets(truth: Any) -> Targets:
    """Scenes with boxes make their targets themselves."""
    return {}


def areas(boxes: Tensor) -> Tensor:
    """(n, 4) -> (n,)"""
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def rows_of_boxes(outputs: Outputs) -> Tensor:
    """The network's one output, a row for each box.  (n, classes, boxes) -> (n, boxes, classes)"""
    scores = outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))
    return scores.transpose(1, 2)
