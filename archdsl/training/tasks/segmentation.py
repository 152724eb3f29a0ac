"""Semantic segmentation: the class of every pixel of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from archdsl.errors import SpecError
from archdsl.language import Arch, Dense, Several
from archdsl.training.data.annotations.mask_folders import mask_folder
from archdsl.training.data.annotations.mask_writer import write_masks
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.synthetic.labelled_frames import LabelledFrames
from archdsl.training.data.synthetic.truth import DIGIT_NAMES, MOTION_NAMES, Truth
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import UNLABELLED, move_labels
from archdsl.training.data.transforms.normalisation import pixels_of
from archdsl.training.evaluation.label_maps import LabelMaps, PixelScores, confusion_of
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.tasks.base import Outputs, Task, TaskOptions


def digits_of_pixels(truth: Truth) -> Targets:
    """Which digit each pixel shows, of every frame.  (frames, h, w)"""
    return truth.digit_map


def motions_of_pixels(truth: Truth) -> Targets:
    """How each pixel moves, of every frame.  (frames, h, w)"""
    return truth.motion_map


class SegmentationOptions(TaskOptions):
    """What is told apart in built-in data."""

    scenes: Literal["digits", "motions"] = Field(
        "digits",
        description="classes of the built-in data: the ground and ten digits, or what stands and eight motions",
    )


class Segmentation(Task):
    """Targets are `labels`, the class of each pixel of one frame, (h, w), 255 where it does not count, and `frame`.

    The frame is a position in the clip. The network's map is enlarged linearly to the size of the labels. Of chances,
    which a softmax before the enlargement leaves, the loss is the logarithm. Auxiliary heads learn the same labels, and
    no test reads them.
    """

    name = "segmentation"
    options_kind: ClassVar[type[TaskOptions]] = SegmentationOptions

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke" if built_in else "dff_cityscapes"

    def built_in(self, data: str, split: str) -> LabelledFrames:
        if self.options.scenes == "digits":
            scenes = self.scenes(data, split, digits_of_pixels, ("ground", *DIGIT_NAMES))
        else:
            scenes = self.scenes(data, split, motions_of_pixels, ("still", *MOTION_NAMES))
        return LabelledFrames(**vars(scenes))

    def files(self, data: str, split: str) -> Videos:
        """A folder of masks. Of a video, a frame is met at every distance from a key frame, else in the middle."""
        keys = self.plan.schedule
        places = range(keys.every) if keys else (self.frames // 2,)
        return mask_folder(Path(data), split, self.plan.arch.clips, places)

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """Pictures and masks of digits. Raises SpecError for motions, which no picture tells."""
        if self.options.scenes == "motions":
            raise SpecError(
                "no pictures tell motions",
                at="recipe.task.segmentation.scenes",
                written=self.recipe.written,
                got="motions",
                want="digits",
                fix="train on motion, which is made in memory",
            )
        return write_masks(out, {split: self.built_in(f"motion:{count}", split) for split, count in counts.items()})

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        shapes = [*self.plan.outputs.values()]
        maps = all(len(shape) == 4 for shape in shapes)
        if len(self.tested) != 1 or not maps or any(shape[0] != len(classes) for shape in shapes):
            raise SpecError(
                f"{self.plan.name} has other classes than {'its run' if of_run else 'the masks'}",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(f"{name} of shape {shape}" for name, shape in self.plan.outputs.items()),
                want=f"one map of {len(classes)} classes: {', '.join(classes[:4])}{', ...' * (len(classes) > 4)}",
                fix=f"--classes {len(classes)}" if maps and len(self.tested) == 1 and not learnt else None,
            )

    @property
    def tested(self) -> list[str]:
        """Outputs that are tested: no auxiliary ones."""
        return [name for name in self.plan.outputs if name not in getattr(self.plan.arch.head, "auxiliary", {})]

    @property
    def num_classes(self) -> int:
        """How many classes it tells apart."""
        return self.plan.outputs[self.tested[0]][0]

    # targets

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        return targets | {"labels": move_labels(targets["labels"], cut)}

    def blank(self, videos: Videos) -> Targets:
        return {"labels": torch.full(self.size, UNLABELLED, dtype=torch.uint8), "frame": torch.tensor(0)}

    def target_bytes(self) -> int:
        return self.size[0] * self.size[1] + 8

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        """Labelled pixels."""
        return (batch.targets["labels"] != UNLABELLED).flatten(1).sum(1).float()

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Cross-entropy, the mean over all labelled pixels of the step."""
        shares = getattr(self.plan.arch.head, "auxiliary", {})
        maps = outputs if isinstance(outputs, dict) else {self.tested[0]: outputs}
        losses = [shares.get(name, 1.0) * self.losses(name, one, batch.targets) for name, one in maps.items()]
        return torch.stack(losses).sum(0) / totals.clamp(min=1)

    def losses(self, name: str, maps: Tensor, targets: Targets) -> Tensor:
        """The cross-entropy of all labelled pixels, of one output.  (n,)"""
        labels = targets["labels"].long()
        scores = enlarged(self.at_frames(maps, targets["frame"]), labels.shape[1:])
        if self.gives_chances(name):
            scores = scores.clamp(min=torch.finfo(scores.dtype).tiny).log()
        return cross_entropy(scores, labels, ignore_index=UNLABELLED, reduction="none").flatten(1).sum(1)

    def gives_chances(self, name: str) -> bool:
        """Whether the head of an output ends in a softmax."""
        head = self.plan.arch.head
        head = head.heads[name] if isinstance(head, Several) else head
        return isinstance(head, Dense) and head.act == "softmax"

    def tested_map(self, outputs: Outputs) -> Tensor:
        """The output that is tested."""
        return outputs[self.tested[0]] if isinstance(outputs, dict) else outputs

    def at_frames(self, maps: Tensor, frames: Tensor) -> Tensor:
        """The map of one frame of each clip.  (n, classes, t, h, w), (n,) -> (n, classes, h, w)"""
        places = frames * maps.shape[2] // self.frames
        return maps[torch.arange(len(maps), device=maps.device), :, places].float()

    # evaluation

    def said(self, outputs: Outputs) -> list[Any]:
        """The best class of each pixel of every frame.  (t, h, w) uint8 each"""
        maps = self.tested_map(outputs)
        check_finite({f"clip {i}": one for i, one in enumerate(maps)})
        best = torch.stack([enlarged(x.float(), self.size).argmax(1).to(torch.uint8) for x in maps.unbind(2)], dim=1)
        return [*best[:, [i * best.shape[1] // self.frames for i in range(self.frames)]].cpu()]

    def judged(self, said: Tensor, target: Targets) -> Tensor:
        """Pixels of each true class, by what is said of them.  (classes, classes)"""
        return confusion_of(said[target["frame"]], target["labels"], self.num_classes)

    def joined(self, one: Tensor, other: Tensor) -> Tensor:
        """The pixels of both views: each counts by itself."""
        return one + other

    def results(self, found: Mapping[int, Tensor], videos: Videos, skipped: tuple[str, ...]) -> PixelScores:
        pixels = torch.stack([*found.values()])
        if not pixels.any():
            raise SpecError(
                "no pixel is labelled",
                got=f"{len(found)} masks of {UNLABELLED} alone",
                want="the class of some pixels",
            )
        return PixelScores(tuple(map(videos.name, found)), videos.classes, pixels, skipped=skipped)

    # predictions

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or map(str, range(self.num_classes)))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> LabelMaps:
        found = torch.cat([view.said for view in views])
        name, clip = next(iter(self.plan.arch.clips.items()))
        if clip.modality != "rgb" or clip.shape.c != 3:
            return LabelMaps(path, names, top, found, torch.zeros(3, *found.shape, dtype=torch.uint8))
        clips = [view.clips if isinstance(view.clips, Tensor) else view.clips[name] for view in views]
        shown = [pixels_of(x.float(), self.recipe.values) for x in clips]
        places = [i * shown[0].shape[1] // self.frames for i in range(self.frames)]
        return LabelMaps(path, names, top, found, torch.cat([x[:, places] for x in shown], dim=1))


def enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps at a size, linearly.  (n, c, h, w) -> (n, c, *size)"""
    if maps.shape[2:] == tuple(size):
        return maps
    return interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
