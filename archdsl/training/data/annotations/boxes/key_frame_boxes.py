"""Persons in key frames, as a network with given boxes reads them, and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.sources.videos import Files
from archdsl.training.data.targets import Targets

CORNERS = 4
"""Numbers of a box: x1, y1, x2, y2."""


class Person(NamedTuple):
    """A box, in shares of the frame's width and height, and the classes of what is done in it."""

    box: tuple[float, float, float, float]
    actions: tuple[int, ...] = ()


class KeyFrame(NamedTuple):
    """The boxes that the network is given, no more than it reads, and those that are true; evaluations compare both.

    Where a key frame has more boxes than the network reads it comes several times, the true boxes with the first.
    """

    given: tuple[Person, ...]
    true: tuple[Person, ...]


@dataclass(frozen=True)
class KeyFrames(Files):
    """Clips around key frames, each with a clip of boxes. Its `clips` are those of pictures."""

    key_frames: tuple[KeyFrame, ...] = ()
    """Of each entry."""
    boxes: str = "boxes"
    """Name of the clip of boxes."""
    room: int = 1
    """Boxes that the network reads."""
    tested: tuple[int, ...] = ()
    """Classes that figures are of."""

    def identifier(self, index: int) -> str:
        """Its name and all of its boxes."""
        return f"{super().identifier(index)} {self.key_frames[index]}"

    def read(self, index: int, request: ClipRequest) -> Sample:
        """One clip with its boxes. Raises Unreadable."""
        sample = super().read(index, request)
        height, width = next(iter(sample.frames.values())).shape[-2:]
        key = self.key_frames[index]
        targets = box_targets(key.given, key.true, self.room, len(self.classes), (height, width))
        boxes = targets["pixels"].T[:, :, None, None].contiguous()
        return sample._replace(frames=sample.frames | {self.boxes: boxes}, targets=targets)


def box_targets(
    given: Sequence[Person], true: Sequence[Person], room: int, classes: int, size: tuple[int, int]
) -> Targets:
    """What is true of a key frame whose frames have a (height, width); `room` is the number of boxes that are read.

    `labels` (room, classes) of 0 and 1 and `pixels` (room, 4) of the given boxes, `seen` (room,) the share of each that
    a crop shows, 0 where there is none; `boxes` [(given, 4)], `true_boxes` [(true, 4)] and `true_labels` [(true,
    classes)] for evaluations, in shares of the frame.
    """
    height, width = size
    boxes, labels = boxes_and_labels(given, classes)
    empty = room - len(given)
    pixels = torch.cat([boxes, boxes.new_zeros(empty, CORNERS)]) * boxes.new_tensor([width, height] * 2)
    true_boxes, true_labels = boxes_and_labels(true, classes)
    return {
        "labels": torch.cat([labels, labels.new_zeros(empty, classes)]),
        "pixels": pixels.float(),
        "seen": torch.cat([torch.ones(len(given)), torch.zeros(empty)]),
        "boxes": [boxes],
        "true_boxes": [true_boxes],
        "true_labels": [true_labels],
    }


def boxes_and_labels(persons: Sequence[Person], classes: int) -> tuple[Tensor, Tensor]:
    """(n, 4) double, (n, classes) of 0 and 1."""
    boxes = torch.tensor([one.box for one in persons], dtype=torch.float64).reshape(-1, CORNERS)
    labels = torch.zeros(len(persons), classes)
    for row, one in enumerate(persons):
        labels[row, list(one.actions)] = 1
    return boxes, labels


def key_frame_parts(given: Sequence[Person], true: Sequence[Person], room: int) -> list[KeyFrame]:
    """A key frame as often as its boxes fill those that a network reads, at least once."""
    firsts = range(0, max(len(given), 1), room)
    return [KeyFrame(tuple(given[i : i + room]), tuple(true) if i == 0 else ()) for i in firsts]
