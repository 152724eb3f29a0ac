"""Frames of a video file. Decoding by PyAV; by torchcodec where that is asked for and can be imported."""

from __future__ import annotations

import os
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Literal

import av
import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.spec.files import open_regular
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.sources.shard_member import Part

Decoder = Literal["pyav", "torchcodec"]
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,ivf,"
    "mxf,dv,nut,rm,wtv,yuv4mpegpipe"
)
"""Containers that hold their own frames. Playlists, which name other files and addresses, are not among them."""
LARGEST = 8192 * 4320
"""Pixels of a frame: those of 8K, which take 101 MiB."""
MOST = 1 << 29
"""Pixels of all frames of a clip, which take 1.5 GiB."""
LONGEST = 2_000_000
"""Frames of a file: 18 hours at 30 per second."""
PATIENCE = 60.0
"""Seconds for one clip."""
LEAST = 1000
"""Frames that a file may claim and not have."""
ORIENTATION = {90: 1, 180: 2, 270: 3}
SOUGHT = ("mov", "matroska", "avi", "flv", "asf")
"""Containers that say where their key frames are. In the others, MPEG's streams, ffmpeg guesses and lands elsewhere."""


@dataclass(frozen=True)
class Index:
    """Where the frames of a file are, read from its packets without decoding."""

    times: tuple[int, ...]
    """Of each frame in the order shown, in units of `base`."""
    keys: tuple[int, ...]
    """Positions in `times` of frames that decoding can begin at."""
    base: Fraction
    """Seconds of a unit."""

    @property
    def fps(self) -> float:
        """Frames per second, over the whole file."""
        reach = (self.times[-1] - self.times[0]) * self.base
        return float((len(self.times) - 1) / reach) if reach > 0 else 30.0

    def seconds(self, frame: int) -> float:
        """When a frame is shown, counted from the first."""
        return float((self.times[frame] - self.times[0]) * self.base)

    def between(self, first: int, last: int) -> list[float]:
        """When the frames from first to last (exclusive) are shown, counted from the first frame of all."""
        return [(time - self.times[0]) * float(self.base) for time in self.times[first:last]]


class Video:
    """A video file, or a part of one, that is open. Use it in a `with`; raises Unreadable."""

    def __init__(self, path: Path | Part, name: str | None = None) -> None:
        self.path, self.name = path, name or str(path)
        self.begun = monotonic()

    def __enter__(self) -> Video:
        self.source = source_of(self.path, self.name)
        try:
            self.open()
        except Unreadable:
            self.source.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
        self.source.close()

    def open(self) -> None:
        """Open the file, at its first frame."""
        try:
            # its format among FORMATS: nothing in the file makes ffmpeg open another one
            options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
            self.file = av.open(self.source, "r", options=options)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise Unreadable(self.name, f"not a video: {told(error)}") from None
        try:
            self.stream = self.opened()
        except Unreadable:
            self.file.close()
            raise

    def opened(self) -> Any:
        """The first video stream."""
        if not self.file.streams.video:
            raise Unreadable(self.name, "no pictures, only sound" if self.file.streams.audio else "no pictures")
        stream = self.file.streams.video[0]
        if stream.codec_context is None:
            raise Unreadable(self.name, "pictures of a kind that ffmpeg does not know")
        width, height = stream.codec_context.width, stream.codec_context.height
        if not 0 < width * height <= LARGEST:
            raise Unreadable(self.name, f"frames of {width}x{height} pixels")
        if stream.frames > LONGEST:
            raise Unreadable(self.name, f"more than {LONGEST} frames")
        # several threads would be idle: clips are read side by side
        stream.codec_context.thread_count = 1
        # what a frame says of its size may be more than what the file says
        stream.codec_context.options = {"max_pixels": str(LARGEST)}
        return stream

    def index(self) -> Index:
        """Where the frames are."""
        found: list[tuple[int, bool]] = []
        try:
            for packet in self.file.demux(self.stream):
                # frames that an edit list hides are decoded, not shown
                if packet.pts is not None and not packet.is_corrupt and not packet.is_discard:
                    found.append((packet.pts, packet.is_keyframe))
                self.in_time(len(found))
        except av.FFmpegError as error:
            if not found:
                raise Unreadable(self.name, f"cannot be read: {told(error)}") from None
        if not found:
            raise Unreadable(self.name, "no frames, or frames without times")
        found.sort()
        keys = tuple(i for i, (_, key) in enumerate(found) if key or i == 0)
        return Index(tuple(time for time, _ in found), keys, self.stream.time_base or Fraction(1, 30))

    def frames(self, index: Index, wanted: Sequence[int]) -> Tensor:
        """Frames by their place in the order shown, which rises.  (3, len(wanted), height, width) uint8"""
        try:
            pictures = self.sought(index, wanted) if self.seeks(index) else {}
            if any(frame not in pictures for frame in wanted):
                pictures = self.counted(wanted)
        except (av.FFmpegError, MemoryError, ValueError) as error:
            raise Unreadable(self.name, f"cannot be decoded: {told(error)}") from None
        if missing := [frame for frame in wanted if frame not in pictures]:
            raise Unreadable(self.name, f"frame {missing[0]} of {len(index.times)} cannot be decoded")
        return stacked([pictures[frame] for frame in wanted], self.name, "frames")

    def seeks(self, index: Index) -> bool:
        """Whether times lead to frames. AVI holds none, and ffmpeg's guess fails for H.264 out of order.

        Where a file claims far more frames than it has, ffmpeg (8.0) seeks for a time that grows with their square.
        """
        if self.stream.frames > 10 * len(index.times) + LEAST:
            return False
        container, codec = self.file.format.name, self.stream.codec_context.name
        return container.startswith(SOUGHT) and (container, codec) not in (("avi", "h264"), ("avi", "hevc"))

    def sought(self, index: Index, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Frames found by their times; none where the times that frames come with do not rise."""
        pictures: dict[int, Tensor] = {}
        for stretch in stretches(index, sorted(set(wanted))):
            place = {index.times[frame]: frame for frame in stretch}
            last: int | None = None
            for frame in self.decoded(index, stretch):
                if frame.pts is None or (last is not None and frame.pts <= last):
                    return {}
                last = frame.pts
                if last in place:
                    pictures[place[last]] = self.pixels(frame, wanted)
        return pictures

    def decoded(self, index: Index, stretch: list[int]) -> Iterator[av.VideoFrame]:
        """Frames from the key frame before a stretch to its end."""
        self.file.seek(index.times[key_before(index, stretch[0])], stream=self.stream, backward=True)
        for frame in self.file.decode(self.stream):
            self.in_time(0)
            yield frame
            if frame.pts is not None and frame.pts >= index.times[stretch[-1]]:
                return

    def counted(self, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Frames found by counting from the first, for files whose times do not lead to them."""
        self.file.close()
        self.source.seek(0)
        self.open()
        pictures: dict[int, Tensor] = {}
        places = set(wanted)
        for i, frame in enumerate(self.file.decode(self.stream)):
            self.in_time(i)
            if i in places:
                pictures[i] = self.pixels(frame, wanted)
            if len(pictures) == len(places):
                break
        return pictures

    def pixels(self, frame: av.VideoFrame, wanted: Sequence[int]) -> Tensor:
        """One frame, where all of the clip find room."""
        check_memory(self.name, len(wanted), frame.width, frame.height)
        return pixels(frame)

    def in_time(self, frames: int) -> None:
        """Raise Unreadable for a file without end."""
        if frames > LONGEST:
            raise Unreadable(self.name, f"more than {LONGEST} frames")
        check_time(self.name, self.begun)


def check_time(name: str, begun: float) -> None:
    """Raise Unreadable where a clip has taken longer than PATIENCE since it was begun."""
    if monotonic() - begun > PATIENCE:
        raise Unreadable(name, f"reading it takes longer than {PATIENCE:.0f} s")


def check_memory(name: str, frames: int, width: int, height: int) -> None:
    """Raise Unreadable where a clip's frames have more than MOST pixels."""
    if frames * width * height > MOST:
        raise Unreadable(name, f"{frames} frames of {width}x{height} pixels are too much for memory")


def stacked(pictures: list[Tensor], name: str, what: str) -> Tensor:
    """Frames side by side in time.  (3, height, width) -> (3, frames, height, width)"""
    if any(picture.shape != pictures[0].shape for picture in pictures):
        raise Unreadable(name, f"{what} of different sizes")
    return torch.stack(pictures, dim=1)


def source_of(path: Path | Part, name: str) -> BinaryIO:
    """What a decoder reads: a regular file, or the bytes of a part. Raises Unreadable."""
    if isinstance(path, Part):
        return BytesIO(path.read(name))
    return opened(path, name)


def opened(path: Path, name: str) -> BinaryIO:
    """A regular file that is not empty. Raises Unreadable."""
    try:
        file = open_regular(path)
    except SpecError as error:
        raise Unreadable(name, error.faults[0].got or error.faults[0].what) from None
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise Unreadable(name, "an empty file")
    file.raw.name = str(path)  # type: ignore[attr-defined]  # ffmpeg looks at the name's ending
    return file


def told(error: Exception) -> str:
    """What ffmpeg says, in one line."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]


def key_before(index: Index, frame: int) -> int:
    """The last key frame up to a frame."""
    return index.keys[max(bisect_right(index.keys, frame) - 1, 0)]


def stretches(index: Index, wanted: list[int]) -> Iterator[list[int]]:
    """Frames that are decoded in one go: a seek pays where a key frame lies between two of them."""
    stretch = wanted[:1]
    for before, frame in pairwise(wanted):
        if key_before(index, frame) > before + 1:
            yield stretch
            stretch = []
        stretch.append(frame)
    yield stretch


def pixels(frame: av.VideoFrame) -> Tensor:
    """One frame as it is to be shown.  (3, height, width) uint8"""
    if not 0 < frame.width * frame.height <= LARGEST:
        raise ValueError(f"a frame of {frame.width}x{frame.height} pixels")
    plane = frame.reformat(format="rgb24").planes[0]
    # lines are padded in memory; numpy is not needed
    lines = torch.frombuffer(bytearray(plane), dtype=torch.uint8).view(plane.height, plane.line_size)
    picture = lines[:, : plane.width * 3].reshape(plane.height, plane.width, 3).permute(2, 0, 1)
    turns = ORIENTATION.get(frame.rotation % 360, 0)
    return picture.rot90(turns, (1, 2)) if turns else picture


def clip_of(
    path: Path | Part, name: str, wanted: Any, decoder: Decoder = "pyav", known: Index | None = None
) -> tuple[Tensor, Index]:
    """Frames of a file and where they lie. `wanted` is told the index, `known` or read, and says which frames.

    (3, frames, height, width) uint8. Raises Unreadable.
    """
    with Video(path, name) as video:
        index = known or video.index()
        frames = wanted(index)
        if decoder == "pyav":
            return video.frames(index, frames), index
    return by_torchcodec(path, name, frames), index


def by_torchcodec(path: Path | Part, name: str, frames: Sequence[int]) -> Tensor:
    """The same frames by torchcodec, which must be importable."""
    decoders = import_module("torchcodec.decoders")
    try:
        with source_of(path, name) as file:
            decoder = decoders.VideoDecoder(file, num_ffmpeg_threads=1)
            check_memory(name, len(frames), decoder.metadata.width or 0, decoder.metadata.height or 0)
            data: Tensor = decoder.get_frames_at(list(frames)).data
    except (RuntimeError, ValueError, IndexError) as error:
        raise Unreadable(name, f"cannot be decoded: {told(error)}") from None
    return data.transpose(0, 1)


def decoders_here() -> tuple[Decoder, ...]:
    """The decoders that can be used on this machine."""
    if find_spec("torchcodec") is None:
        return ("pyav",)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError):
        return ("pyav",)  # installed for another torch or ffmpeg
    return ("pyav", "torchcodec")


def decoder_named(name: str | None) -> Decoder:
    """The decoder of that name, by default of the variable ARCHDSL_DECODER, else PyAV."""
    asked = name or os.environ.get("ARCHDSL_DECODER") or "pyav"
    for decoder in decoders_here():
        if decoder == asked:
            return decoder
    raise SpecError("no such decoder here", got=asked, want=", ".join(decoders_here()), fix="pip install torchcodec")
