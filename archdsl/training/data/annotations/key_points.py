"""Persons with key points, each a clip of its own: COCO's annotations/person_keypoints_train2017.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.boxed_frames import BoxCorners, cut_box
from archdsl.training.data.annotations.boxes.coco_folder import (
    Entry,
    check_apart_ids,
    coco_data,
    coco_pictures,
    corners,
    numbered,
    whole_field,
)
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.modalities import clips_of_files
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.targets import Targets

ROOM_AROUND = 1.25
"""Sides of what is cut out around a person, in sides of its box (arXiv:1603.06937 and its heirs)."""
Limbs = tuple[tuple[int, int], ...]
"""Pairs of points that a limb joins."""


class KnownPoint(NamedTuple):
    """A point in pixels; not known where nobody has marked it."""

    x: float
    y: float
    known: bool


class PersonEntry(NamedTuple):
    """A person in a picture."""

    name: str
    picture: Path
    box: BoxCorners
    points: tuple[KnownPoint, ...]


@dataclass(frozen=True)
class KeyPointPersons:
    """Persons of a data set: a clip shows one, cut out of its picture."""

    entries: tuple[PersonEntry, ...]
    classes: tuple[str, ...]
    """Names of the points."""
    limbs: Limbs
    clips: Mapping[str, Clip]
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, index: int) -> str:
        """The picture's, and the person's number."""
        return self.entries[index].name

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A person, repeated for all frames of a clip. Raises Unreadable."""
        one = self.entries[index]
        if not one.picture.is_file():
            raise Unreadable(one.name, f"no file {one.picture}")
        clip = next(iter(self.clips.values()))
        frames, size, decoded = clips_of_files([one.picture] * clip.frames, one.name, self.clips)
        x1, y1, x2, y2 = cut_box(one.box, size, one.name)
        around = window_around((x1, y1, x2, y2), clip.shape.h / clip.shape.w)
        cut = {name: padded_window(x, around) for name, x in frames.items()}
        known = torch.tensor([[p.x - around[0], p.y - around[1], float(p.known)] for p in one.points])
        points = known[None].repeat(clip.frames, 1, 1)
        targets = point_targets(points, max(x2 - x1, y2 - y1), mirror_of(self.classes))
        return Sample(cut, targets, one.name, 0.0, 0.0, decoded=decoded)


def point_targets(points: Tensor, side: float, mirror: Sequence[int]) -> Targets:
    """What is true of a clip: `points` (t, points, 3), x and y in pixels and whether they are known.

    `side` () is the longer side of the person's box, `mirror` (points,) which point each is in a mirror image.
    """
    return {"points": points.float(), "side": torch.tensor(float(side)), "mirror": torch.tensor([*mirror])}


def mirror_of(names: Sequence[str]) -> list[int]:
    """Of each point that of the other side: `left_knee` and `right_knee`, `l_knee`; others stay."""
    places = {name: i for i, name in enumerate(names)}
    sides = (("left", "right"), ("right", "left"), ("l_", "r_"), ("r_", "l_"))
    found = []
    for i, name in enumerate(names):
        others = [places.get(there + name.removeprefix(here)) for here, there in sides if name.startswith(here)]
        found.append(next((one for one in others if one is not None), i))
    return found


def window_around(box: BoxCorners, aspect: float) -> tuple[int, int, int, int]:
    """A box enlarged, to height over width as the clip has them: (left, top, width, height) in pixels."""
    x1, y1, x2, y2 = box
    height = max(y2 - y1, (x2 - x1) * aspect) * ROOM_AROUND
    sides = max(round(height / aspect), 1), max(round(height), 1)
    return round((x1 + x2 - sides[0]) / 2), round((y1 + y2 - sides[1]) / 2), *sides


def padded_window(x: Tensor, window: tuple[int, int, int, int]) -> Tensor:
    """That part of every frame, black where it lies outside.  (c, t, h, w)"""
    left, top, width, height = window
    out = (-left, left + width - x.shape[3], -top, top + height - x.shape[2])
    x = x[..., max(top, 0) : top + height, max(left, 0) : left + width]
    return pad(x, [max(one, 0) for one in out]) if max(out) > 0 else x


def coco_persons(root: Path, path: Path, clips: Mapping[str, Clip]) -> KeyPointPersons:
    """The persons of a list that have points. Raises SpecError with every annotation that is broken."""
    data = coco_data(path)
    names, limbs = names_of_points(path, data)
    pictures = coco_pictures(path, data)
    folder, entries, ids = root / path.stem.removeprefix("person_keypoints_"), [], []

    def add(_: str, one: Entry) -> None:
        ids.append(whole_field(one, "id"))
        picture = whole_field(one, "image_id")
        if picture not in pictures:
            raise SpecError("an annotation of no image", got=f"image_id {picture}", want="the id of an image")
        points = known_points(one, len(names))
        if any(point.known for point in points) and not one.get("iscrowd"):
            name = pictures[picture]
            entries.append(PersonEntry(f"{name}#{ids[-1]}", folder / name, corners(one), points))

    parse_each(numbered(path, data, "annotations"), add)
    check_apart_ids(path, "annotations", ids)
    if not entries:
        raise SpecError("a list without persons", written=path.name, got="no points that are marked")
    return KeyPointPersons(tuple(entries), names, limbs, clips)


def names_of_points(path: Path, data: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Limbs]:
    """Those of the one category that has points. Raises SpecError."""
    kinds = [one for one in numbered(path, data, "categories") if "keypoints" in one[1]]
    if len(kinds) != 1:
        raise SpecError(
            "key points of several categories or none",
            written=f"{path.name}, categories",
            got=f"{len(kinds)} with keypoints",
            want="one, such as person",
        )
    where, kind = kinds[0]
    return names_and_limbs(kind, where)


def names_and_limbs(kind: Entry, where: str) -> tuple[tuple[str, ...], Limbs]:
    """Names of points, and which of them limbs join (numbered from 1 in the file). Raises SpecError."""
    names, limbs = kind.get("keypoints"), kind.get("skeleton", [])
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
        raise SpecError("keypoints are no names", written=where, got=excerpt(repr(names)), want='["nose", ...]')
    if len({*names}) < len(names):
        raise SpecError("two key points of one name", written=where, got=excerpt(", ".join(names)), want="one of each")
    numbers = range(1, len(names) + 1)
    pairs = isinstance(limbs, list) and all(isinstance(one, list) and len(one) == len("xy") for one in limbs)
    if not pairs or any(type(i) is not int or i not in numbers for one in limbs for i in one):
        want = f"pairs of points from 1 to {len(names)}"
        raise SpecError("skeleton is no list of limbs", written=where, got=excerpt(repr(limbs)), want=want)
    return tuple(names), tuple((one[0] - 1, one[1] - 1) for one in limbs)


def known_points(one: Entry, count: int) -> tuple[KnownPoint, ...]:
    """x, y and whether it is marked (0 not, 1 hidden, 2 seen) of each point. Raises SpecError."""
    numbers = one.get("keypoints")
    right = isinstance(numbers, list) and len(numbers) == 3 * count
    if not right or not all(type(x) in (int, float) and isfinite(x) for x in numbers or ()):
        got = f"{len(numbers)} numbers" if isinstance(numbers, list) and not right else excerpt(repr(numbers))
        raise SpecError(
            "cannot parse keypoints", got=got, want=f"{3 * count} numbers: x, y and 0, 1 or 2 of each point"
        )
    rows = [*zip(*[iter(map(float, numbers or ()))] * 3)]
    if odd := next((mark for *_, mark in rows if mark not in (0, 1, 2)), None):
        raise SpecError("a key point is neither marked nor not", got=f"{odd:g}", want="0, 1 or 2 behind x and y")
    return tuple(KnownPoint(x, y, mark > 0) for x, y, mark in rows)
