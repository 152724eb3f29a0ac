"""ImageNet VID, and the stills of DET trained beside it: lists, pictures and XML of ILSVRC2015."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedEntry, BoxedFrames, FrameChoice, TrueBox, cut_box
from archdsl.training.data.annotations.boxes.pascal_xml import read_pascal
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.sources.manifests import list_text

VID_NAMES = (
    *("airplane", "antelope", "bear", "bicycle", "bird", "bus", "car", "cattle", "dog", "domestic_cat", "elephant"),
    *("fox", "giant_panda", "hamster", "horse", "lion", "lizard", "monkey", "motorcycle", "rabbit", "red_panda"),
    *("sheep", "snake", "squirrel", "tiger", "train", "turtle", "watercraft", "whale", "zebra"),
)
WORDNET_IDS = (
    *("n02691156", "n02419796", "n02131653", "n02834778", "n01503061", "n02924116", "n02958343", "n02402425"),
    *("n02084071", "n02121808", "n02503517", "n02118333", "n02510455", "n02342885", "n02374451", "n02129165"),
    *("n01674464", "n02484322", "n03790512", "n02324045", "n02509815", "n02411705", "n01726692", "n02355227"),
    *("n02129604", "n04468005", "n01662784", "n04530566", "n02062744", "n02391049"),
)
VID_CLASSES = dict(zip(WORDNET_IDS, VID_NAMES, strict=True))
"""WordNet id -> name, in the order of labels from 1 on."""
BACKGROUND = "background"
TRAIN_LISTS = ("DET_train_30classes.txt", "VID_train_15frames.txt")
TEST_LISTS = ("VID_val_videos.txt", "VID_val_frames.txt")
PICTURE = ".JPEG"
STILL, SNIPPET = 2, 4
"""Columns: stem and number; directory, number, frame and frames of the snippet."""
LONGEST_NUMBER = 9
ROW = "directory frame_id frame frames_of_the_snippet; or stem frame_id"


class VidRow(NamedTuple):
    """A line: a picture's stem, or a snippet's directory with a frame of it and how many there are."""

    stem: str
    frame: int = 0
    length: int = 0
    """0 for a picture."""


@dataclass(frozen=True)
class VidPart:
    """Where a list's pictures and XML lie, and what numbers labels have."""

    data: Path
    xml: Path
    labels: Mapping[str, int]
    others: bool
    """Whether there may be things of other classes, which are left out: DET has 200."""

    def picture(self, stem: str) -> Path:
        """By the stem of a list."""
        return self.data / f"{stem}{PICTURE}"

    def boxes(self, picture: Path, size: tuple[int, int], name: str) -> Sequence[TrueBox]:
        """What a picture shows, as its XML has it. Raises Unreadable."""
        path = (self.xml / picture.relative_to(self.data)).with_suffix(".xml")
        if not path.is_file():
            raise Unreadable(name, f"no file {path}")
        found = []
        for one in read_pascal(path, name):
            if one.name not in self.labels:
                if self.others:
                    continue
                raise Unreadable(name, f"{path.name}:{one.line}: {excerpt(one.name)} is no class of VID")
            x1, y1, x2, y2 = one.box
            box = cut_box((x1, y1, x2 + 1, y2 + 1), size, name, f"{path.name}:{one.line}")
            found.append(TrueBox(box, self.labels[one.name]))
        return found


@dataclass(frozen=True)
class VidStill:
    """A picture of a list of two columns."""

    name: str
    part: VidPart
    fault: str = ""

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        return FrameChoice((self.part.picture(self.name),) * frames, (0,))

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        return self.part.boxes(picture, size, self.name)


@dataclass(frozen=True)
class VidPair:
    """A labelled frame to train on: its key frame lies up to `reach` frames before it."""

    folder: str
    frame: int
    length: int
    part: VidPart
    reach: int
    fault: str = ""

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.frame:06d}"

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        """A clip from the key frame on; of two frames the second is the labelled one, unless both are the same."""
        reach = 0 if frames == 1 else self.reach if frames == STILL else frames - 1
        behind = min(random_below(reach + 1, rng) if rng else 0, self.frame)
        key = self.frame - behind
        places = [key, self.frame] if frames == STILL else range(key, key + frames)
        pictures = [self.part.picture(f"{self.folder}/{min(i, self.length - 1):06d}") for i in places]
        return FrameChoice(tuple(pictures), (min(behind, frames - 1),))

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        return self.part.boxes(picture, size, self.name)


@dataclass(frozen=True)
class VidWindow:
    """Frames to test on, from a key frame on; the last one is repeated beyond the snippet's end."""

    folder: str
    first: int
    length: int
    part: VidPart
    fault: str = ""

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.first:06d}"

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        there = min(frames, self.length - self.first)
        places = [self.first + min(i, there - 1) for i in range(frames)]
        return FrameChoice(tuple(self.part.picture(f"{self.folder}/{i:06d}") for i in places), tuple(range(there)))

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        return self.part.boxes(picture, size, self.name)


def vid_folder(root: Path, split: str, clips: Mapping[str, Clip], reach: int, *, mirrored: bool) -> BoxedFrames:
    """The pictures of a split. Raises SpecError with every line that is broken."""
    root = next((one for one in (root, root / "ILSVRC2015", root / "ILSVRC") if (one / "ImageSets").is_dir()), root)
    training = split == "train"
    frames = next(iter(clips.values())).frames
    entries: list[BoxedEntry] = []
    labels = {name: i for i, name in enumerate(VID_CLASSES, 1)}
    for name in lists_in(root, TRAIN_LISTS if training else TEST_LISTS, every=training):
        kind = name.partition("_")[0]
        part = VidPart(root / "Data" / kind, root / "Annotations" / kind, labels, others=kind == "DET")
        entries += entries_of_list(root / "ImageSets" / name, part, frames, reach, training=training)
    classes = (BACKGROUND, *VID_CLASSES.values())
    return BoxedFrames(tuple(entries), classes, clips, "vid", mirrored=mirrored and training)


def lists_in(root: Path, names: Sequence[str], *, every: bool) -> list[str]:
    """The lists that are there; the first where not every one counts. Raises SpecError for none."""
    there = [name for name in names if (root / "ImageSets" / name).is_file()]
    if not there:
        raise SpecError("no list of pictures", got=str(root / "ImageSets"), want=" or ".join(names))
    return there if every else there[:1]


def entries_of_list(path: Path, part: VidPart, frames: int, reach: int, *, training: bool) -> list[BoxedEntry]:
    """What a list names. Raises SpecError with every line that is broken, and for a list without any."""
    lines = [(f"{path.name}:{i}", line.split()) for i, line in enumerate(list_text(path).splitlines(), 1)]
    rows = parse_each([(where, cells) for where, cells in lines if cells], lambda _, cells: checked_row(cells))
    if not rows:
        raise SpecError("a list without pictures", written=path.name, want=ROW)
    check_no_row_twice([one for one in lines if one[1]], rows)
    found: list[BoxedEntry] = []
    for row in rows:
        if not row.length:
            found.append(VidStill(row.stem, part))
        elif training:
            found.append(VidPair(row.stem, row.frame, row.length, part, reach))
        else:
            found += windows_of(row.stem, row.length, part, frames)
    return found


def checked_row(cells: list[str]) -> VidRow:
    """A line. Raises SpecError."""
    numbers = cells[1:]
    whole = all(one.isascii() and one.isdecimal() and len(one) <= LONGEST_NUMBER for one in numbers)
    if len(cells) not in (STILL, SNIPPET) or not whole or ".." in cells[0].split("/") or cells[0].startswith("/"):
        raise SpecError("cannot parse line", got=excerpt(" ".join(cells)), want=ROW)
    row = VidRow(cells[0], *map(int, numbers[1:]))
    if len(cells) == SNIPPET and row.frame >= row.length:
        raise SpecError("a frame beyond its snippet", got=f"frame {row.frame} of {row.length}", want="frames from 0 on")
    return row


def check_no_row_twice(lines: Sequence[tuple[str, list[str]]], rows: Iterable[VidRow]) -> None:
    """Raises SpecError with every line that names a frame again."""
    met: dict[VidRow, str] = {}

    def check(where: str, row: VidRow) -> None:
        if (first := met.setdefault(row, where)) != where:
            raise SpecError("a frame twice", got=f"as in {first}", want="each frame once")

    parse_each(zip((where for where, _ in lines), rows, strict=True), check)


def windows_of(folder: str, length: int, part: VidPart, frames: int) -> list[BoxedEntry]:
    """A snippet cut into clips of so many frames."""
    return [VidWindow(folder, first, length, part) for first in range(0, length, frames)]
