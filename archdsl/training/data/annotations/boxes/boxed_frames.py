"""Clips of pictures some frames of which have boxes with a class each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.modalities import clips_of_files
from archdsl.training.data.sources.pictures import PICTURES_FPS
from archdsl.training.data.targets import Targets

BoxCorners = tuple[float, float, float, float]
"""x1, y1, x2, y2"""
Metric = Literal["vid", "voc", "voc07", "coco"]
SEED_BITS = 62


class TrueBox(NamedTuple):
    """A box whose corners are edges of pixels: the first pixel alone is (0, 0, 1, 1)."""

    box: BoxCorners
    label: int
    """0 is the background."""
    ignored: bool = False
    """Neither learnt nor missed: VOC's difficult ones, COCO's crowds."""


class FrameChoice(NamedTuple):
    """The pictures of a clip and which of them have known boxes."""

    pictures: tuple[Path, ...]
    """One for each frame."""
    labelled: tuple[int, ...]


class BoxedEntry(Protocol):
    """A picture, or pictures of a snippet."""

    @property
    def name(self) -> str:
        """As lists have it."""

    @property
    def fault(self) -> str:
        """Why nothing can be read of it, by the line that names it."""

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        """Pictures for a clip of so many frames, at random where there is an rng."""

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        """What a picture of (height, width) shows. Raises Unreadable."""


@dataclass(frozen=True)
class BoxedFrames:
    """Entries of a data set; where `mirrored` each comes a second time as its mirror image, behind all others."""

    entries: tuple[BoxedEntry, ...]
    classes: tuple[str, ...]
    """The background first."""
    clips: Mapping[str, Clip]
    metric: Metric
    mirrored: bool = False
    multi_label: bool = False
    left_out: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.entries) * (1 + self.mirrored)

    def name(self, index: int) -> str:
        """As lists have it."""
        one = self.entries[index % len(self.entries)]
        return one.name + (" mirrored" if index >= len(self.entries) else "")

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip, with the boxes of its labelled frames. Raises Unreadable."""
        entry, name = self.entries[index % len(self.entries)], self.name(index)
        if entry.fault:
            raise Unreadable(name, entry.fault)
        clip = next(iter(self.clips.values()))
        rng = Random(f"frames {request.seed}") if request.training else None
        pictures, labelled = entry.choice(clip.frames, rng)
        if missing := [path for path in pictures if not path.is_file()]:
            raise Unreadable(name, f"no file {missing[0]}")
        frames, size, decoded = clips_of_files(pictures, name, self.clips)
        boxes = {place: entry.boxes(pictures[place], size) for place in labelled}
        targets = detection_targets(boxes, clip.frames, request.seed)
        if index >= len(self.entries):
            frames = {key: x.flip(-1) for key, x in frames.items()}
            targets |= {name: [mirrored_boxes(targets[name][0], size[1])] for name in ("boxes", "true_boxes")}
        return Sample(frames, targets, name, 0.0, (len(pictures) - 1) / PICTURES_FPS, decoded=decoded)


def detection_targets(boxes: Mapping[int, Sequence[TrueBox]], frames: int, seed: int) -> Targets:
    """What is true of a clip of so many frames, from the boxes of those that are labelled.

    `boxes` [(n, 4)] in pixels, corners at edges of pixels; `labels` [(n,)]; `ignored` [(n,)]; `at` [(n,)] the frame of
    each; `labelled` (frames,) 1 for those whose boxes are known; `seed` () of random choices in the loss. `true_boxes`
    and the like stay those of whole frames; `place` (4,) is where x and y begin in them, and their steps.
    """
    found = [(at, one) for at, some in boxes.items() for one in some]
    labelled = torch.zeros(frames)
    labelled[[*boxes]] = 1
    each = {
        "boxes": torch.tensor([one.box for _, one in found], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor([one.label for _, one in found], dtype=torch.long),
        "ignored": torch.tensor([one.ignored for _, one in found], dtype=torch.bool),
        "at": torch.tensor([at for at, _ in found], dtype=torch.long),
    }
    return {
        **{name: [x] for name, x in each.items()},
        **{f"true_{name}": [x] for name, x in each.items()},
        "labelled": labelled,
        "seed": torch.tensor(seed % (1 << SEED_BITS)),
        "place": torch.tensor([0.0, 0.0, 1.0, 1.0]),
    }


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """(n, 4) -> (n, 4)"""
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=1)


@dataclass(frozen=True)
class StillEntry:
    """One picture; a clip repeats it, its first frame is the labelled one."""

    name: str
    picture: Path
    known: tuple[TrueBox, ...]
    fault: str = ""
    shapes: tuple[Any, ...] = ()
    """Of each box what else is known, where that is read."""

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        return FrameChoice((self.picture,) * frames, (0,))

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        return [one._replace(box=cut_box(one.box, size, self.name)) for one in self.known]


SLACK_PIXELS = 2
"""By which a box may reach beyond its picture: annotations round. It is cut to the picture."""


def cut_box(box: BoxCorners, size: tuple[int, int], name: str, where: str = "") -> BoxCorners:
    """A box cut to a picture of (height, width). Raises Unreadable where it is outside, or has no area within."""
    x1, y1, x2, y2 = box
    height, width = size
    text = f"{where}{': ' * bool(where)}a box ({', '.join(f'{one:g}' for one in box)})"
    if not (min(x1, y1) >= -SLACK_PIXELS and x2 <= width + SLACK_PIXELS and y2 <= height + SLACK_PIXELS):
        raise Unreadable(name, f"{text} outside the picture of {width} x {height} pixels")
    if not (max(x1, 0) < min(x2, width) and max(y1, 0) < min(y2, height)):
        raise Unreadable(name, f"{text} without area")
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
