"""Frames of a video file, decoded by PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import av
import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.spec.files import open_regular
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader import limits
from archdsl.training.data.reader.frame_index import FrameIndex, key_before, seek_groups
from archdsl.training.data.reader.limits import check_memory, check_time
from archdsl.training.data.reader.mp4_header import check_claims
from archdsl.training.data.sources.shard_member import ShardMember

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,ivf,"
    "mxf,dv,nut,rm,wtv,yuv4mpegpipe"
)
"""Containers that hold their own frames; no playlists, which refer to other files and addresses."""
CLAIM_MARGIN = 1000
"""Tolerance between the frames that a header claims and those in the file."""
QUARTER_TURNS = {90: 1, 180: 2, 270: 3}
SKIPPING_CODECS = ("h264", "hevc", "mpeg4", "mpeg2video")
"""Codecs of which ffmpeg leaves out frames that no other refers to, where it is told to, without a trace in others."""
SEEKABLE_CONTAINERS = ("mov", "matroska", "avi", "flv", "asf")
"""Containers with an index of key frames. In the others, MPEG streams, ffmpeg seeks by guess and misses."""


class VideoFile:
    """An open video file or shard member, used in a `with`. Raises Unreadable."""

    def __init__(self, path: Path | ShardMember, name: str | None = None) -> None:
        self.path, self.name = path, name or str(path)
        self.started = monotonic()

    def __enter__(self) -> VideoFile:
        self.source = open_source(self.path, self.name)
        try:
            check_claims(self.source, self.name, self.started)
            self.open()
        except Unreadable:
            self.source.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
        self.source.close()

    def open(self) -> None:
        """Open the file at its first frame."""
        try:
            # only CONTAINERS: nothing in the file makes ffmpeg open another file
            options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
            self.file = av.open(self.source, "r", options=options)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise Unreadable(self.name, f"not a video: {ffmpeg_error(error)}") from None
        try:
            self.stream = self.video_stream()
        except Unreadable:
            self.file.close()
            raise

    def video_stream(self) -> Any:
        """The first video stream."""
        if not self.file.streams.video:
            raise Unreadable(self.name, "no video stream, only audio" if self.file.streams.audio else "no video stream")
        stream = self.file.streams.video[0]
        if stream.codec_context is None:
            raise Unreadable(self.name, "a codec that ffmpeg does not know")
        width, height = stream.codec_context.width, stream.codec_context.height
        if not 0 < width * height <= limits.MAX_FRAME_PIXELS:
            raise Unreadable(self.name, f"frames of {width}x{height} pixels")
        if stream.frames > limits.MAX_FRAMES:
            raise Unreadable(self.name, f"more than {limits.MAX_FRAMES} frames")
        # one thread: clips are read in parallel processes
        stream.codec_context.thread_count = 1
        # a frame may be larger than the header says
        stream.codec_context.options = {"max_pixels": str(limits.MAX_FRAME_PIXELS)}
        return stream

    def index(self) -> FrameIndex:
        """Timestamps and key frames, from the packets alone."""
        found: list[tuple[int, bool]] = []
        try:
            for packet in self.file.demux(self.stream):
                # frames hidden by an edit list are decoded and not shown
                if packet.pts is not None and not packet.is_corrupt and not packet.is_discard:
                    found.append((packet.pts, packet.is_keyframe))
                self.check_limits(len(found))
        except av.FFmpegError as error:
            if not found:
                raise Unreadable(self.name, f"cannot be read: {ffmpeg_error(error)}") from None
        if not found:
            raise Unreadable(self.name, "no frames, or frames without timestampstamps")
        found.sort()
        keys = tuple(i for i, (_, key) in enumerate(found) if key or i == 0)
        return FrameIndex(tuple(time for time, _ in found), keys, self.stream.time_base or Fraction(1, 30))

    def frames(self, index: FrameIndex, wanted: Sequence[int]) -> Tensor:
        """Frames by their number in display order, ascending.  (3, len(wanted), height, width) uint8"""
        try:
            pictures = self.frames_by_time(index, wanted) if self.can_seek(index) else {}
            if any(frame not in pictures for frame in wanted):
                pictures = self.frames_by_count(wanted)
        except (av.FFmpegError, MemoryError, ValueError) as error:
            raise Unreadable(self.name, f"cannot be decoded: {ffmpeg_error(error)}") from None
        if missing := [frame for frame in wanted if frame not in pictures]:
            raise Unreadable(self.name, f"frame {missing[0]} of {len(index.times)} cannot be decoded")
        return stack_frames([pictures[frame] for frame in wanted], self.name, "frames")

    def can_seek(self, index: FrameIndex) -> bool:
        """Whether seeking by timestamp works. AVI has none, and ffmpeg's guess fails for H.264 with reordered frames.

        Where the header claims far more frames than there are, ffmpeg (8.0) takes quadratic time to seek.
        """
        if self.stream.frames > 10 * len(index.times) + CLAIM_MARGIN:
            return False
        container, codec = self.file.format.name, self.stream.codec_context.name
        return container.startswith(SEEKABLE_CONTAINERS) and (container, codec) not in (
            ("avi", "h264"),
            ("avi", "hevc"),
        )

    def frames_by_time(self, index: FrameIndex, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Frames found by timestamp; none where decoded timestamps do not rise."""
        pictures: dict[int, Tensor] = {}
        for group in seek_groups(index, sorted(set(wanted))):
            place = {index.times[frame]: frame for frame in group}
            last: int | None = None
            for frame in self.decode_group(index, group):
                if frame.pts is None or (last is not None and frame.pts <= last):
                    return {}
                last = frame.pts
                if last in place:
                    pictures[place[last]] = self.checked_pixels(frame, wanted)
        return pictures

    def decode_group(self, index: FrameIndex, group: list[int]) -> Iterator[av.VideoFrame]:
        """Decode from the key frame before a group to its end; of frames that no other refers to only the group's."""
        self.file.seek(index.times[key_before(index, group[0])], stream=self.stream, backward=True)
        codec, times = self.stream.codec_context, {index.times[frame] for frame in group}
        for packet in self.file.demux(self.stream):
            if codec.name in SKIPPING_CODECS and self.file.format.name != "avi":  # whose packets bear no times
                codec.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in times else "NONREF"
            for frame in packet.decode():
                self.check_limits(0)
                yield frame
                if frame.pts is not None and frame.pts >= index.times[group[-1]]:
                    return

    def frames_by_count(self, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Frames found by counting from the first, for files that cannot seek by timestamp."""
        self.file.close()
        self.source.seek(0)
        self.open()
        pictures: dict[int, Tensor] = {}
        places = set(wanted)
        for i, frame in enumerate(self.file.decode(self.stream)):
            self.check_limits(i)
            if i in places:
                pictures[i] = self.checked_pixels(frame, wanted)
            if len(pictures) == len(places):
                break
        return pictures

    def checked_pixels(self, frame: av.VideoFrame, wanted: Sequence[int]) -> Tensor:
        """One frame, after a check that the whole clip fits into memory."""
        check_memory(self.name, len(wanted), frame.width, frame.height)
        return frame_pixels(frame)

    def check_limits(self, frames: int) -> None:
        """Raise Unreadable beyond the limits of frames and time."""
        if frames > limits.MAX_FRAMES:
            raise Unreadable(self.name, f"more than {limits.MAX_FRAMES} frames")
        check_time(self.name, self.started)


def stack_frames(pictures: list[Tensor], name: str, what: str) -> Tensor:
    """Frames side by side in time.  (3, height, width) -> (3, frames, height, width)"""
    if any(picture.shape != pictures[0].shape for picture in pictures):
        raise Unreadable(name, f"{what} of different sizes")
    return torch.stack(pictures, dim=1)


def open_source(path: Path | ShardMember, name: str) -> BinaryIO:
    """The decoder's input: a regular file, or the bytes of a shard member. Raises Unreadable."""
    if isinstance(path, ShardMember):
        return BytesIO(path.read(name))
    return open_video_file(path, name)


def open_video_file(path: Path, name: str) -> BinaryIO:
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


def ffmpeg_error(error: Exception) -> str:
    """ffmpeg's message, in one line."""
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def frame_pixels(frame: av.VideoFrame) -> Tensor:
    """The pixels of one frame, rotated upright.  (3, height, width) uint8"""
    if not 0 < frame.width * frame.height <= limits.MAX_FRAME_PIXELS:
        raise ValueError(f"a frame of {frame.width}x{frame.height} pixels")
    plane = frame.reformat(format="rgb24").planes[0]
    # lines are padded in memory; numpy is not needed
    lines = torch.frombuffer(bytearray(plane), dtype=torch.uint8).view(plane.height, plane.line_size)
    picture = lines[:, : plane.width * 3].reshape(plane.height, plane.width, 3).permute(2, 0, 1)
    turns = QUARTER_TURNS.get(frame.rotation % 360, 0)
    return picture.rot90(turns, (1, 2)) if turns else picture
