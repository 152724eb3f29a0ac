"""Built-in scenes of one digit whose key points are known, also as a folder of COCO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import pi
from pathlib import Path

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.spec.files import make_folder, write_whole
from archdsl.training.data.annotations.key_points import Limbs, point_targets
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth

SEEN = 2
"""Of a point in COCO's lists: marked, and seen."""


def ring_names(points: int) -> tuple[str, ...]:
    """Names of points on a ring: the first is the top, a mirror image has `left_1` where `right_1` was."""
    right = [f"right_{i}" for i in range(1, (points + 1) // 2)]
    left = [name.replace("right", "left") for name in reversed(right)]
    return ("top", *right, *(["bottom"] if points % 2 == 0 else []), *left)


def ring_limbs(points: int) -> Limbs:
    """Each point and the next; one alone has no limb."""
    return tuple((i, (i + 1) % points) for i in range(points)) if points > 1 else ()


@dataclass(frozen=True)
class PointScenes(Scenes):
    """Scenes of one digit: as many points as there are names, on an ellipse in its box."""

    @property
    def limbs(self) -> Limbs:
        """The ellipse."""
        return ring_limbs(len(self.classes))

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        times = self.times(truth, next(iter(self.clips.values())))
        known = ring_points(truth, len(self.classes))[times, 0]
        side = float((truth.boxes[0, 0, 2:] - truth.boxes[0, 0, :2]).max())
        points = len(self.classes)
        targets = point_targets(known, side, [-i % points for i in range(points)])
        return self.sample(index, truth)._replace(targets=targets)


def ring_points(truth: Truth, points: int) -> Tensor:
    """x, y and 1 of each point of every digit, clockwise from the top.  (frames, digits, points, 3)"""
    angles = torch.arange(points) * (2 * pi / points)
    ring = torch.stack([angles.sin(), -angles.cos()], dim=1)
    boxes = truth.boxes
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    places = middle[:, :, None] + half[:, :, None] * ring
    return torch.cat([places, torch.ones_like(places[..., :1])], dim=3)


def write_persons(out: Path, scenes: Mapping[str, PointScenes]) -> Iterator[Path]:
    """The first frame of each scene, and a list of each split; yields the path of every picture."""
    make_folder(out / "annotations")
    for split, made in scenes.items():
        make_folder(out / split)
        category = {"id": 1, "name": "person", "keypoints": made.classes, "skeleton": numbered_from_1(made.limbs)}
        data: dict[str, list[object]] = {"images": [], "annotations": [], "categories": [category]}
        for index in range(len(made)):
            truth, path = made.truth(index), out / split / f"{index:06d}.png"
            write_whole(path, encode_png(truth.pictures[:, 0]))
            x1, y1, x2, y2 = truth.boxes[0, 0].tolist()
            marked = [
                number for x, y, _ in ring_points(truth, len(made.classes))[0, 0].tolist() for number in (x, y, 2)
            ]
            data["images"].append({"id": index, "file_name": path.name})
            person = {"id": index, "image_id": index, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            data["annotations"].append({**person, "keypoints": marked})
            yield path
        write_whole(out / f"annotations/person_keypoints_{split}.json", json.dumps(data))


def numbered_from_1(limbs: Limbs) -> list[tuple[int, int]]:
    """As COCO has them."""
    return [(one + 1, other + 1) for one, other in limbs]


def scenes_of_points(scenes: Scenes, clips: Mapping[str, Clip], points: int) -> PointScenes:
    """Scenes with the points of a network."""
    return PointScenes(**vars(scenes) | {"clips": clips, "classes": ring_names(points)})
