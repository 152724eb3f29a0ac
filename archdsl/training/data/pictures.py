"""Folders of pictures as videos: img_00001.jpg, img_00002.jpg..."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from archdsl.training.data.clips import Unreadable
from archdsl.training.data.decoding import LARGEST, LONGEST, Index, pixels, told

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FPS = 30.0
"""Of pictures, which do not say it, where the recipe does not either."""
FORMATS = "image2,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe"


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    found = [path for path in found if not path.name.startswith("flow_")]  # TSN's tools write these beside
    return sorted(found, key=lambda path: ([int(part) for part in re.findall(r"\d{1,12}", path.stem)], path.name))


def pictures_of(folder: Path, name: str, wanted: Any, fps: float = FPS) -> tuple[Tensor, Index]:
    """Frames of a folder and where they lie.  (3, frames, height, width) uint8. Raises Unreadable."""
    found = pictures_in(folder)
    if not 0 < len(found) <= LONGEST:
        raise Unreadable(name, "a folder without pictures" if not found else f"more than {LONGEST} pictures")
    index = Index(tuple(range(len(found))), (0,), 1 / Fraction(fps).limit_denominator(1001))
    read = [picture(found[frame], name) for frame in wanted(index)]
    if any(one.shape != read[0].shape for one in read):
        raise Unreadable(name, "pictures of different sizes")
    return torch.stack(read, dim=1), index


def picture(path: Path, name: str) -> Tensor:
    """One picture.  (3, height, width) uint8"""
    try:
        with av.open(f"file:{path}", options={"format_whitelist": FORMATS, "protocol_whitelist": "file"}) as file:
            codec = file.streams.video[0].codec_context
            if codec.width * codec.height > LARGEST:
                raise Unreadable(name, f"{path.name} has {codec.width}x{codec.height} pixels")
            return pixels(next(iter(file.decode(video=0))))
    except (av.FFmpegError, ValueError, IndexError, StopIteration) as error:
        raise Unreadable(name, f"{path.name} cannot be read: {told(error)}") from None
