"""Built-in data as files, for those who want to see it, and so that the way from file to clip can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.training.clips import Take
from archdsl.training.motion import FPS, MovingDigits

PARTS = {"train": 0, "val": 1}
"""Split -> seed of its clips: those that training in memory sees."""


def make_motion(out: Path, counts: dict[str, int], frames: int, size: int) -> Iterator[Path]:
    """Moving digits as OUT/split/class/number.mp4; every path as it is written. What is there already stays."""
    for split, count in counts.items():
        videos = MovingDigits(count, PARTS[split], frames=frames, size=size)
        for index in range(count):
            sample = videos.read(index, Take(0))
            path = out / split / videos.classes[int(sample.label)] / f"{index:06d}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, sample.frames[videos.clip], FPS)
            yield path


def write_video(path: Path, pictures: Tensor, fps: int) -> None:
    """Frames as an mp4 file (H.264, of high quality).  (3, t, height, width) uint8. Whole, or not there."""
    _, frames, height, width = pictures.shape
    if height % 2 or width % 2:
        raise SpecError("a video of an odd size", got=f"{height}x{width}", want="even height and width")
    beside = path.with_name(f".{path.name}")
    try:
        with av.open(str(beside), "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=Fraction(fps), options={"crf": "10", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for i in range(frames):
                file.mux(stream.encode(as_frame(pictures[:, i])))
            file.mux(stream.encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def as_frame(picture: Tensor) -> av.VideoFrame:
    """One picture for the encoder.  (3, height, width) uint8"""
    _, height, width = picture.shape
    frame = av.VideoFrame(width, height, "rgb24")
    plane = frame.planes[0]
    lines = picture.permute(1, 2, 0).reshape(height, width * 3)
    padded = lines.new_zeros(height, plane.line_size)
    padded[:, : width * 3] = lines
    plane.update(padded.numpy().tobytes())
    return frame
