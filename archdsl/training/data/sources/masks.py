"""A folder of images and of masks with the same names: one labelled frame each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.modalities import clip_of_frames
from archdsl.training.data.sources.classes import classes_in
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES, decode_picture, read_picture
from archdsl.training.data.transforms.moves import UNLABELLED

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"


@dataclass(frozen=True)
class MaskFolder:
    """Images with the class of every pixel. A clip repeats its image; the last frame is the labelled one."""

    folder: Path
    pairs: tuple[tuple[Path | None, Path | None], ...]
    """(image, mask) of a name; None for what is missing."""
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    multi_label: bool = False
    left_out: tuple[str, ...] = ()
    """Files that are no pictures."""

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        """The image's, from the folder on, or that of a mask alone."""
        image, mask = self.pairs[index]
        return str((image or mask or self.folder).relative_to(self.folder))

    def read(self, index: int, request: ClipRequest) -> Sample:
        """One image as a clip, with its mask. Raises Unreadable."""
        name, (image, mask) = self.name(index), self.pairs[index]
        if image is None or mask is None:
            raise Unreadable(name, f"no {'image' if image is None else 'mask'} of that name in {self.missing(index)}")
        pixels = read_picture(image, name)
        labels = decode_picture(mask, name, class_ids)
        if labels.shape != pixels.shape[1:]:
            sizes = [f"{x.shape[-1]}x{x.shape[-2]}" for x in (labels, pixels)]
            raise Unreadable(name, f"{MASKS}/{mask.name} has {sizes[0]} pixels, the image {sizes[1]}")
        self.check_range(name, mask, labels)
        frames = {
            key: clip_of_frames(pixels[:, None], {0: 0}, [0] * clip.frames, 1, clip, image)
            for key, clip in self.clips.items()
        }
        last = next(iter(self.clips.values())).frames - 1
        return Sample(frames, {"labels": labels, "frame": torch.tensor(last)}, name, 0.0, 0.0, decoded=1)

    def missing(self, index: int) -> str:
        """The folder that lacks a name."""
        return IMAGES if self.pairs[index][0] is None else MASKS

    def check_range(self, name: str, mask: Path, labels: Tensor) -> None:
        """Raises Unreadable where a pixel is of no class."""
        odd = ((labels >= len(self.classes)) & (labels != UNLABELLED)).nonzero()
        if len(odd):
            row, column = odd[0].tolist()
            found = f"class {int(labels[row, column])} at row {row}, column {column}"
            known = f"classes are 0 to {len(self.classes) - 1}, and {UNLABELLED} for none"
            raise Unreadable(name, f"{MASKS}/{mask.name} has {found}: {known}; {len(odd)} pixels are of none")


def class_ids(frame: av.VideoFrame) -> Tensor:
    """The numbers that a mask stores: gray levels, or indices of its palette.  (h, w) uint8. Raises ValueError."""
    if frame.format.name not in ("gray", "pal8"):
        raise ValueError(f"pixels of {frame.format.name}: a mask has one class of 8 bits for each, gray or by palette")
    plane = frame.planes[0]
    lines = torch.frombuffer(bytearray(plane), dtype=torch.uint8).view(-1, plane.line_size)
    return lines[: frame.height, : frame.width].clone()


def mask_folder(root: Path, split: str, clips: Mapping[str, Clip]) -> MaskFolder:
    """ROOT/SPLIT/images and ROOT/SPLIT/masks, with the names of classes in ROOT/classes.txt. Raises SpecError."""
    needed = [(root / split / IMAGES, Path.is_dir), (root / split / MASKS, Path.is_dir), (root / CLASSES, Path.is_file)]
    missing = [str(path) for path, there in needed if not there(path)]
    if missing:
        raise SpecError(
            "not a folder of images and masks",
            got=f"no {', no '.join(missing)}",
            want=f"{split}/{IMAGES}, {split}/{MASKS} (PNG of class numbers, same names) and {CLASSES}, a class a line",
        )
    classes = classes_in(root / CLASSES)
    if [*classes.values()] != [str(i) for i in range(len(classes))] or not 0 < len(classes) < UNLABELLED:
        raise SpecError(
            "classes of masks are not numbered from 0 on",
            written=CLASSES,
            got=", ".join(f"{number} {name}" for name, number in [*classes.items()][:4]) or "no classes",
            want=f"1 to {UNLABELLED - 1} classes, a name on each line",
        )
    left_out: list[str] = []
    images, masks = (by_name(root / split / one, left_out) for one in (IMAGES, MASKS))
    names = sorted({*images, *masks})
    if not names:
        raise SpecError("no images", got=str(root / split / IMAGES), want="images, and masks of the same names")
    pairs = tuple((images.get(name), masks.get(name)) for name in names)
    return MaskFolder(root / split, pairs, tuple(classes), clips, left_out=tuple(left_out))


def by_name(folder: Path, left_out: list[str]) -> dict[str, Path]:
    """The pictures of a folder by their name without the ending; others are left out. Raises SpecError."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            left_out.append(f"{folder.name}/{path.name}")
        elif (other := found.setdefault(path.stem, path)) != path:
            raise SpecError("two pictures of one name", got=f"{other} and {path.name}", want="one of each name")
    return found
