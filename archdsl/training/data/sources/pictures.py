"""Folders of numbered pictures as videos: img_00001.jpg, img_00002.jpg...; a single one as a video of one frame."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, TypeGuard

import av
from torch import Tensor

from archdsl.spec.files import is_regular
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader import limits
from archdsl.training.data.reader.decoder import ffmpeg_error, frame_pixels, open_video_file, stack_frames
from archdsl.training.data.reader.frame_index import FrameIndex
from archdsl.training.data.reader.limits import check_memory, check_time

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
PICTURES_FPS = 30.0
"""Frame rate of pictures, unless the recipe states one."""
MAX_PICTURE_BYTES = 1 << 28
"""Bytes of a picture: enough for a BMP of MAX_FRAME_PIXELS."""
PICTURE_FORMATS = "image2,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,ppm_pipe"


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers; one too many where there are more than MAX_FRAMES."""
    with os.scandir(folder) as entries:
        found = list(islice((Path(entry.path) for entry in entries if is_picture(entry)), limits.MAX_FRAMES + 1))
    return sorted(found, key=lambda path: ([int(part) for part in re.findall(r"\d{1,12}", path.stem)], path.name))


def is_of_pictures(path: object) -> TypeGuard[Path]:
    """Whether a video is a folder of pictures, or a single one."""
    return isinstance(path, Path) and (path.suffix.lower() in PICTURE_SUFFIXES or path.is_dir())


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file is one; TSN's tools write flow beside them."""
    if not entry.name.lower().endswith(PICTURE_SUFFIXES) or entry.name.startswith("flow_"):
        return False
    return entry.is_file(follow_symlinks=False) or is_regular(entry.path)


def read_pictures(path: Path, name: str, wanted: Any, fps: float = PICTURES_FPS) -> tuple[Tensor, FrameIndex]:
    """Frames of a folder, or of one picture, and the index.  (3, frames, height, width) uint8. Raises Unreadable."""
    begun = monotonic()
    found = pictures_in(path) if path.is_dir() else [path]
    if not 0 < len(found) <= limits.MAX_FRAMES:
        raise Unreadable(name, "a folder without pictures" if not found else f"more than {limits.MAX_FRAMES} pictures")
    index = FrameIndex(tuple(range(len(found))), (0,), 1 / Fraction(fps).limit_denominator(1001))
    read: list[Tensor] = []
    for frame in (frames := wanted(index)):
        check_time(name, begun)
        read.append(read_picture(found[frame], name, len(frames)))
    return stack_frames(read, name, "pictures"), index


def read_picture(path: Path, name: str, many: int = 1) -> Tensor:
    """One picture, after a check that `many` of its size fit into memory.  (3, height, width) uint8"""
    return decode_picture(path, name, frame_pixels, many)


def decode_picture(path: Path, name: str, pixels: Callable[[av.VideoFrame], Tensor], many: int = 1) -> Tensor:
    """What `pixels` gives of one picture, after a check that `many` of its size fit into memory. Raises Unreadable."""
    options = {"format_whitelist": PICTURE_FORMATS, "protocol_whitelist": "file"}
    try:
        # from memory, without a name: ffmpeg takes %d and * in a name for others
        with (
            open_video_file(path, name) as data,
            av.open(BytesIO(data.read(MAX_PICTURE_BYTES + 1)), "r", options=options) as file,
        ):
            codec = file.streams.video[0].codec_context
            check_memory(name, many, codec.width, codec.height)
            if codec.width * codec.height > limits.MAX_FRAME_PIXELS:
                raise Unreadable(name, f"{path.name} has {codec.width}x{codec.height} pixels")
            codec.options = {"max_pixels": str(limits.MAX_FRAME_PIXELS)}
            return pixels(next(iter(file.decode(video=0))))
    except (av.FFmpegError, ValueError, IndexError, StopIteration, MemoryError) as error:
        raise Unreadable(name, f"{path.name} cannot be read: {ffmpeg_error(error)}") from None
