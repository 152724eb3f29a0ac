"""Key points of one thing in the middle, such as a person's joints: their places (DeepPose), or maps (hourglasses)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch
from archdsl.spec.scalars import Positive
from archdsl.training.data.annotations.boxes.coco_folder import coco_list
from archdsl.training.data.annotations.key_points import coco_persons, point_targets
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.synthetic.point_scenes import PointScenes, ring_names, scenes_of_points, write_persons
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.crops import view_crop
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import move_points
from archdsl.training.data.transforms.normalisation import pixels_of
from archdsl.training.evaluation.point_scores import (
    FoundPoints,
    JudgedPoints,
    PointPredictions,
    PointScores,
    SeenPoints,
)
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.tasks.base import Outputs, Task, TaskOptions, check_one_view
from archdsl.training.tasks.boxes.action_detection import no_targets
from archdsl.training.tasks.boxes.detection import frame_size, on_frame

QUARTER = 0.25
"""Of an element of a map, by which a place is moved to the larger one beside it (arXiv:1603.06937's code)."""


class KeyPointsOptions(TaskOptions):
    """What maps look like, and which points count as found."""

    sigma: Positive = Field(1.0, description="of the Gaussian that a map should be, in its elements")
    near: Positive = Field(
        0.2, description="how far a found point may be off, in longer sides of the box around all (PCK)"
    )


class KeyPointsTask(Task):
    """Targets are those of `point_targets`. Every output learns alike (each hourglass of a stack), the last is tested.

    Errors of places are squares of distances in sides of the clip, those of a map the mean of squares over it. Only
    points that are known count.
    """

    name = "key_points"
    options_kind: ClassVar[type[TaskOptions]] = KeyPointsOptions

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke" if built_in else "hourglass_mpii"

    @property
    def points(self) -> int:
        """How many the network knows. Raises SpecError where outputs differ, or are not of every frame."""
        counts = set()
        for channels, frames, *area in self.plan.outputs.values():
            counts.add((channels // 2 if area == [1, 1] else channels, frames))
        if len(counts) > 1 or (found := counts.pop())[1] != self.frames:
            raise SpecError(
                f"{self.plan.name} does not say the points of every frame",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(f"{name} {shape}" for name, shape in self.plan.outputs.items()),
                want=f"as many points of each of {self.frames} frames in every output",
            )
        return found[0]

    # data

    def videos(self, data: str, split: str) -> Videos:
        check_one_view(self.recipe, "points")
        return super().videos(data, split)

    def built_in(self, data: str, split: str) -> PointScenes:
        scenes = self.scenes(data, split, no_targets, ring_names(self.points), digits=(1, 1))
        return scenes_of_points(scenes, self.plan.arch.clips, self.points)

    def files(self, data: str, split: str) -> Videos:
        """COCO's folder."""
        check_modalities(self.plan.arch.clips)
        found = coco_list(Path(data), split, "person_keypoints")
        if found is None:
            want = "motion, or a folder with COCO's annotations/person_keypoints_train2017.json"
            raise SpecError("no folder of persons with key points", got=excerpt(data), want=want)
        return coco_persons(Path(data), found, self.plan.arch.clips)

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """COCO's folder."""
        return write_persons(out, {split: self.built_in(f"motion:{n}", split) for split, n in counts.items()})

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        if self.points != len(classes):
            raise SpecError(
                f"{self.plan.name} knows another number of points than {'its run' if of_run else 'the data'}",
                at="head",
                written=self.plan.arch.head.written,
                got=f"{self.points} points",
                want=f"{len(classes)}: {', '.join(classes[:4])}, ...",
            )

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """Points on the crop, those of left and right changed in a mirror image; those outside are not known."""
        side = targets["side"] / max(cut.columns.step, cut.rows.step)
        return targets | {"points": move_points(targets["points"], cut, targets["mirror"]), "side": side}

    def blank(self, videos: Videos) -> Targets:
        return point_targets(torch.zeros(self.frames, self.points, 3), 1.0, range(self.points))

    def target_bytes(self) -> int:
        return 4 * 3 * self.frames * self.points + 8 * self.points + 4

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        """Known points."""
        return batch.targets["points"][..., 2].sum((1, 2))

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """The mean over the known points of the step, summed over outputs."""
        points = batch.targets["points"]
        errors = torch.stack([self.errors(x.float(), points) for x in self.of_outputs(outputs)]).sum(0)
        return (errors * points[..., 2]).sum((1, 2)) / totals

    def of_outputs(self, outputs: Outputs) -> list[Tensor]:
        """Every output, in order."""
        return [outputs] if isinstance(outputs, Tensor) else [outputs[name] for name in self.plan.outputs]

    def errors(self, x: Tensor, points: Tensor) -> Tensor:
        """Of each point.  (n, c, t, h, w), (n, t, points, 3) -> (n, t, points)"""
        if is_places(x):
            height, width = self.size
            wanted = points[..., :2] / points.new_tensor([width, height]) - 0.5
            return (said_places(x) - wanted).square().sum(3)
        wanted = self.maps(points, (x.shape[3], x.shape[4]))
        return (x.transpose(1, 2) - wanted).square().mean((3, 4))

    def maps(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """A Gaussian at each point, 1 at the middle of the element that it lies in.  (n, t, points, h, w)"""
        (height, width), sigma = self.size, float(self.options.sigma)
        along = []
        for axis, many, whole in ((1, size[0], height), (0, size[1], width)):
            middle = (points[..., axis] * many / whole).floor()
            away = torch.arange(many, device=points.device) - middle[..., None]
            along.append((-0.5 * (away / sigma).square()).exp())
        return along[0][..., :, None] * along[1][..., None, :]

    # evaluation

    def said(self, outputs: Outputs) -> list[FoundPoints]:
        """Places in pixels of the clip, by the last output."""
        x = self.of_outputs(outputs)[-1].float().cpu()
        check_finite({f"clip {i}": one for i, one in enumerate(x)})
        height, width = self.size
        if is_places(x):
            places = (said_places(x) + 0.5) * x.new_tensor([width, height])
            scores = torch.ones(places.shape[:3])
        else:
            places, scores = largest_places(x.transpose(1, 2))
            places = places * x.new_tensor([width / x.shape[4], height / x.shape[3]])
        return [FoundPoints(*one) for one in zip(places, scores)]

    def judged(self, said: FoundPoints, target: Targets) -> JudgedPoints:
        return JudgedPoints(said.places, target["points"], float(target["side"]))

    def joined(self, one: Any, other: Any) -> Any:
        raise NotImplementedError("points of several views are refused")

    def results(self, found: Mapping[int, JudgedPoints], videos: Any, skipped: tuple[str, ...]) -> PointScores:
        if not any(one.true[..., 2].any() for one in found.values()):
            raise SpecError("nothing to find", got=f"{len(found)} clips without known points", want="points in some")
        names, near = tuple(map(videos.name, found)), float(self.options.near)
        return PointScores(names, tuple(found.values()), videos.classes, videos.limbs, near, skipped=skipped)

    # predictions

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or (f"point {i}" for i in range(self.points)))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> PointPredictions:
        """The points of every frame that was seen; the thing is taken to fill the frame."""
        size, frames = frame_size(path), []
        cut = view_crop(0, 1, size, self.recipe.views.short_side, self.size)
        for view in views:
            pixels, step = pixels_of(view.clips.float(), self.recipe.values), view.end - view.start
            for i, (places, scores) in enumerate(zip(*view.said)):
                whole = on_frame(places.repeat(1, 2), cut, size)[:, :2]
                second = view.start + i * step / max(self.frames - 1, 1)
                frames.append(SeenPoints(second, pixels[:3, i].to(torch.uint8), places, whole, scores))
        return PointPredictions(path, names, tuple(frames))


def is_places(x: Tensor) -> bool:
    """Whether an output says places; else it is maps.  (n, c, t, h, w)"""
    return x.shape[3] * x.shape[4] == 1


def said_places(x: Tensor) -> Tensor:
    """x and y of each point, in sides of the clip from its middle.  (n, 2 points, t, 1, 1) -> (n, t, points, 2)"""
    return x[..., 0, 0].unflatten(1, (-1, 2)).permute(0, 3, 1, 2)  # (n, points, 2, t) -> (n, t, points, 2)


def largest_places(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(places in elements, the largest values): the middle of the largest, moved by a quarter to the larger beside it.

    (n, t, points, h, w) -> (n, t, points, 2), (n, t, points)
    """
    height, width = maps.shape[3:]
    scores, best = maps.flatten(3).max(3)
    found = []
    for step, at, many in ((1, best % width, width), (width, best // width, height)):
        inner = (at > 0) & (at < many - 1)
        ahead, back = ((best + s).clamp(0, height * width - 1) for s in (step, -step))
        slope = maps.flatten(3).gather(3, ahead[..., None]) - maps.flatten(3).gather(3, back[..., None])
        found.append(at + 0.5 + torch.where(inner, QUARTER * slope[..., 0].sign(), 0.0))
    return torch.stack(found, dim=3), scores
