"""Folders of pictures as videos: img_00001.jpg, img_00002.jpg..."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import av
from torch import Tensor

from archdsl.spec.files import is_regular
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader.decoder import (
    LARGEST,
    LONGEST,
    Index,
    check_memory,
    check_time,
    opened,
    pixels,
    stacked,
    told,
)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FPS = 30.0
"""Of pictures, which do not say it, where the recipe does not either."""
LARGEST_FILE = 1 << 28
"""Bytes of a picture: of a BMP of LARGEST pixels, and more."""
FORMATS = "image2,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe"


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers; one too many where there are more than LONGEST."""
    with os.scandir(folder) as entries:
        found = list(islice((Path(entry.path) for entry in entries if is_picture(entry)), LONGEST + 1))
    return sorted(found, key=lambda path: ([int(part) for part in re.findall(r"\d{1,12}", path.stem)], path.name))


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file is one; TSN's tools write flow beside them."""
    if not entry.name.lower().endswith(SUFFIXES) or entry.name.startswith("flow_"):
        return False
    return entry.is_file(follow_symlinks=False) or is_regular(entry.path)


def pictures_of(folder: Path, name: str, wanted: Any, fps: float = FPS) -> tuple[Tensor, Index]:
    """Frames of a folder and where they lie.  (3, frames, height, width) uint8. Raises Unreadable."""
    begun = monotonic()
    found = pictures_in(folder)
    if not 0 < len(found) <= LONGEST:
        raise Unreadable(name, "a folder without pictures" if not found else f"more than {LONGEST} pictures")
    index = Index(tuple(range(len(found))), (0,), 1 / Fraction(fps).limit_denominator(1001))
    read: list[Tensor] = []
    for frame in (frames := wanted(index)):
        check_time(name, begun)
        read.append(picture(found[frame], name, len(frames)))
    return stacked(read, name, "pictures"), index


def picture(path: Path, name: str, many: int = 1) -> Tensor:
    """One picture, where as `many` of its size find room.  (3, height, width) uint8"""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        # from memory, without a name: ffmpeg takes %d and * in a name for others
        with opened(path, name) as data, av.open(BytesIO(data.read(LARGEST_FILE + 1)), "r", options=options) as file:
            codec = file.streams.video[0].codec_context
            check_memory(name, many, codec.width, codec.height)
            if codec.width * codec.height > LARGEST:
                raise Unreadable(name, f"{path.name} has {codec.width}x{codec.height} pixels")
            codec.options = {"max_pixels": str(LARGEST)}
            return pixels(next(iter(file.decode(video=0))))
    except (av.FFmpegError, ValueError, IndexError, StopIteration, MemoryError) as error:
        raise Unreadable(name, f"{path.name} cannot be read: {told(error)}") from None
