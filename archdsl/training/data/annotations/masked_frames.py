"""Clips of pictures of which one has a mask: the class of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import NamedTuple

import av
import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.modalities import clips_of_files
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.sources.pictures import decode_picture
from archdsl.training.data.transforms.moves import UNLABELLED

BYTES = 256
"""Numbers that a pixel of a mask can have."""


class Snippet(NamedTuple):
    """Pictures numbered with six digits, around a labelled one."""

    begin: str
    """Path of each up to its number."""
    labelled: int
    end: str
    """What follows the number."""

    def nearest(self, offset: int) -> Path | None:
        """The picture so many frames behind the labelled one, or the last there is on the way; None for itself."""
        step = 1 if offset > 0 else -1
        for behind in range(offset, 0, -step):
            path = Path(f"{self.begin}{max(self.labelled + behind, 0):06d}{self.end}")
            if path.is_file():
                return path
        return None


class MaskedPicture(NamedTuple):
    """A picture and its mask; None for what is missing."""

    name: str
    image: Path | None
    mask: Path | None
    missing: str = ""
    """Where the other one is not."""
    snippet: Snippet | None = None
    """The video it is of, if that is there."""


@dataclass(frozen=True)
class MaskedFrames:
    """Pictures with the class of every pixel, as clips; `frame` tells which frame of a clip is the labelled one.

    A clip shows the frames around it. Without them it repeats the picture, and the last frame is the labelled one.
    """

    entries: tuple[MaskedPicture, ...]
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    root: Path
    """What names of masks begin after."""
    places: Sequence[int] = (0,)
    """Frames of the clip that the labelled one is in a test, in turn."""
    labels_of: Mapping[int, int] | None = None
    """Number in a mask -> label; by default they are the same."""
    multi_label: bool = False
    left_out: tuple[str, ...] = ()
    """Files that are no pictures."""

    @cached_property
    def turns(self) -> tuple[tuple[MaskedPicture, int], ...]:
        """Every picture, at each place if it is of a video."""
        return tuple((one, at) for one in self.entries for at in (self.places if one.snippet else (self.frames - 1,)))

    @property
    def frames(self) -> int:
        """Of the first clip."""
        return next(iter(self.clips.values())).frames

    def __len__(self) -> int:
        return len(self.turns)

    def name(self, index: int) -> str:
        """The image's, or that of a mask alone; with its place where there are several."""
        one, at = self.turns[index]
        return f"{one.name} as frame {at}" if one.snippet and len(self.places) > 1 else one.name

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip, with the mask of its labelled frame. Raises Unreadable."""
        name, (one, at) = self.name(index), self.turns[index]
        if one.image is None or one.mask is None:
            raise Unreadable(name, f"no {'image' if one.image is None else 'mask'} of that name in {one.missing}")
        if one.snippet and request.training:
            at = random_below(self.frames, Random(f"frames {request.seed}"))
        offsets = [i - at if one.snippet else 0 for i in range(self.frames)]
        paths = [(one.snippet and one.snippet.nearest(i)) or one.image for i in offsets]
        frames, size, decoded = clips_of_files(paths, name, self.clips)
        labels = self.labels(name, one.mask, size)
        return Sample(frames, {"labels": labels, "frame": torch.tensor(at)}, name, 0.0, 0.0, decoded=decoded)

    def labels(self, name: str, mask: Path, size: Sequence[int]) -> Tensor:
        """The label of every pixel.  (h, w) uint8. Raises Unreadable where one is of no class."""
        numbers, file = decode_picture(mask, name, class_ids), mask.relative_to(self.root)
        if numbers.shape != tuple(size):
            sizes = [f"{x[1]}x{x[0]}" for x in (numbers.shape, size)]
            raise Unreadable(name, f"{file} has {sizes[0]} pixels, the image {sizes[1]}")
        known = {UNLABELLED: UNLABELLED, **(self.labels_of or {i: i for i in range(len(self.classes))})}
        table = torch.tensor([known.get(i, -1) for i in range(BYTES)])
        labels = table[numbers.long()]
        odd = (labels < 0).nonzero()
        if len(odd):
            row, column = odd[0].tolist()
            found = f"class {int(numbers[row, column])} at row {row}, column {column}"
            last = max({*known} - {UNLABELLED})
            some = f"classes are 0 to {last}, and {UNLABELLED} for none"
            raise Unreadable(name, f"{file} has {found}: {some}; {len(odd)} pixels are of none")
        return labels.to(torch.uint8)


def class_ids(frame: av.VideoFrame) -> Tensor:
    """The numbers that a mask stores: gray levels, or indices of its palette.  (h, w) uint8. Raises ValueError."""
    if frame.format.name not in ("gray", "pal8"):
        raise ValueError(f"pixels of {frame.format.name}: a mask has one class of 8 bits for each, gray or by palette")
    plane = frame.planes[0]
    lines = torch.frombuffer(bytearray(plane), dtype=torch.uint8).view(-1, plane.line_size)
    return lines[: frame.height, : frame.width].clone()
