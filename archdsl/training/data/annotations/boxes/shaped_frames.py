"""Pictures with boxes that have a mask, or key points, each: COCO's polygons, run lengths and keypoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedFrames, StillEntry
from archdsl.training.data.annotations.boxes.coco_folder import Entry
from archdsl.training.data.annotations.key_points import known_points
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.targets import Targets

LEAST_CORNERS = 3
"""Of a polygon."""


class Polygons(NamedTuple):
    """Parts of a thing, each the corners around it."""

    parts: tuple[tuple[float, ...], ...]
    """x, y, x, y, ... in pixels"""

    def mask(self, size: tuple[int, int]) -> Tensor:
        """1 where a pixel's middle lies in a part.  (h, w) uint8"""
        found = torch.zeros(size, dtype=torch.bool)
        for part in self.parts:
            found |= inside_of(torch.tensor(part, dtype=torch.float64).view(-1, 2), size)
        return found.to(torch.uint8)


class RunLengths(NamedTuple):
    """Pixels column by column, in turn how many are out and in."""

    size: tuple[int, int]
    counts: tuple[int, ...]

    def mask(self, size: tuple[int, int]) -> Tensor:
        """(h, w) uint8. Raises ValueError where the picture has another size."""
        if size != self.size:
            raise ValueError(
                f"run lengths of {self.size[1]} x {self.size[0]} pixels, a picture of {size[1]} x {size[0]}"
            )
        values = torch.arange(len(self.counts)) % 2
        return values.repeat_interleave(torch.tensor(self.counts)).view(size[1], size[0]).T.to(torch.uint8)


def inside_of(corners: Tensor, size: tuple[int, int]) -> Tensor:
    """Whether a pixel's middle lies in a polygon, by the edges that lie left of it.  (k, 2) -> (h, w) of bool"""
    height, width = size
    (x0, y0), (x1, y1) = corners.unbind(1), corners.roll(-1, 0).unbind(1)
    rows = torch.arange(height, dtype=torch.float64)[:, None] + 0.5
    crosses = (y0 <= rows) != (y1 <= rows)
    at = x0 + (rows - y0) * (x1 - x0) / torch.where(y1 == y0, 1.0, y1 - y0)
    first = (at - 0.5).ceil().clamp(0, width).long()  # of the pixels right of the edge
    turns = torch.zeros(height, width + 1, dtype=torch.long).scatter_add_(1, first, crosses.long())
    return turns.cumsum(1)[:, :width] % 2 == 1


def mask_outline(one: Entry) -> Polygons | RunLengths:
    """The mask of an annotation. Raises SpecError."""
    found = one.get("segmentation")
    if isinstance(found, dict):
        return run_lengths(found)
    parts: list[Any] = found if isinstance(found, list) and found else [None]
    for part in parts:
        right = isinstance(part, list) and len(part) >= 2 * LEAST_CORNERS and len(part) % 2 == 0
        if not right or not all(type(x) in (int, float) and isfinite(x) for x in part or ()):
            want = "polygons [x, y, x, y, ...] of 3 corners or more, or counts and size"
            raise SpecError("cannot parse segmentation", got=excerpt(repr(part)), want=want)
    return Polygons(tuple(tuple(map(float, part)) for part in parts))


def run_lengths(found: dict[str, Any]) -> RunLengths:
    """Counts and size. Raises SpecError."""
    size, counts = (list_of(found.get(name)) for name in ("size", "counts"))
    whole = all(type(x) is int and x >= 0 for x in (*size, *counts))
    if not whole or len(size) != len("hw") or sum(counts) != size[0] * size[1]:
        got = f"size {excerpt(repr(found.get('size')))}, counts {excerpt(repr(found.get('counts')))}"
        raise SpecError(
            "cannot parse run lengths", got=got, want="[h, w], and a list of counts that add up to h times w"
        )
    return RunLengths((size[0], size[1]), tuple(counts))


def list_of(value: Any) -> list[Any]:
    """A list as it is; of anything else one that is no numbers."""
    return value if isinstance(value, list) else [None]


def point_reader(count: int) -> Callable[[Entry], Tensor]:
    """What reads so many key points of an annotation.  (count, 3)"""

    def points(one: Entry) -> Tensor:
        return torch.tensor([[p.x, p.y, float(p.known)] for p in known_points(one, count)])

    return points


@dataclass(frozen=True)
class ShapedFrames(BoxedFrames):
    """Pictures whose targets also have `true_masks` [(n, h, w)], or `true_points` [(n, points, 3)], of whole frames."""

    mirror: tuple[int, ...] = ()
    """Of each point which it is in a mirror image."""

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip, with the shapes of its labelled frame. Raises Unreadable."""
        sample, entry = super().read(index, request), self.entries[index]
        assert isinstance(entry, StillEntry)
        height, width = next(iter(sample.frames.values())).shape[2:]
        if self.mirror:
            return sample._replace(targets=sample.targets | points_of_things(entry.shapes, self.mirror))
        try:
            masks = [one.mask((height, width)) for one in entry.shapes]
        except ValueError as error:
            raise Unreadable(entry.name, str(error)) from None
        found = torch.stack(masks) if masks else torch.zeros(0, height, width, dtype=torch.uint8)
        return sample._replace(targets=sample.targets | {"true_masks": [found]})


def points_of_things(points: Sequence[Tensor], mirror: Sequence[int]) -> Targets:
    """As targets, with the place that each has in a mirror image."""
    found = torch.stack([*points]) if len(points) else torch.zeros(0, len(mirror), 3)
    return {"true_points": [found.float()], "mirror": torch.tensor([*mirror])}
