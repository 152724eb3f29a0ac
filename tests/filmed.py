"""Small videos for tests: every frame tells its number, containers and codecs as they come from the world."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import torch
from torch import Tensor

from archdsl.training.data.picture_files import as_frame

KINDS = {
    "h264.mp4": ("libx264", "yuv420p", {"g": "12", "bf": "3", "preset": "veryfast"}),
    "open_gop.mp4": ("libx264", "yuv420p", {"g": "6", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}),
    "tiny_gop.mp4": ("libx264", "yuv420p", {"g": "2", "bf": "1", "x264-params": "scenecut=0"}),
    "hevc.mp4": ("libx265", "yuv420p", {"x265-params": "keyint=9:bframes=3:log-level=none"}),
    "h264.mkv": ("libx264", "yuv420p", {"g": "12", "bf": "3"}),
    "h264.ts": ("libx264", "yuv420p", {"g": "12", "bf": "3"}),
    "h264.flv": ("libx264", "yuv420p", {"g": "12", "bf": "3"}),
    "h264.avi": ("libx264", "yuv420p", {"g": "12", "bf": "3"}),
    "xvid.avi": ("mpeg4", "yuv420p", {"g": "12", "bf": "2"}),
    "plain.avi": ("mpeg4", "yuv420p", {"g": "12"}),
    "mpeg2.mpg": ("mpeg2video", "yuv420p", {"g": "12", "bf": "2"}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"g": "12", "cpu-used": "8", "deadline": "realtime"}),
    "vp8.webm": ("libvpx", "yuv420p", {"g": "12", "cpu-used": "8", "deadline": "realtime"}),
    "wmv.wmv": ("wmv2", "yuv420p", {"g": "12"}),
    "av1.mp4": ("libsvtav1", "yuv420p", {"g": "12", "preset": "12", "svtav1-params": "lp=1"}),
    "anim.gif": ("gif", "rgb8", {}),
}
"""Name of a file -> (codec, pixels, options): those of the data sets, and more."""


def numbered_frames(count: int, height: int = 48, width: int = 64) -> Tensor:
    """Frames that differ from each other and move.  (3, count, height, width) uint8"""
    noise = torch.randint(0, 256, (3, 1, 6, 8), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
    ground = noise.repeat_interleave(height // 6, 2).repeat_interleave(width // 8, 3)
    ground = torch.nn.functional.pad(ground, (0, width - ground.shape[3], 0, height - ground.shape[2]))
    frames = ground.repeat(1, count, 1, 1)
    for i in range(count):
        frames[:, i] = frames[:, i].roll(2 * i, 2)
        frames[:, i, :8] = (37 * i) % 256
    return frames


def film(
    path: Path,
    frames: Tensor,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    rate: int = 25,
) -> Path:
    """Write a video. `times` are in thousandths of a second, where frames are not equally far apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames.shape[1]):
            frame = as_frame(frames[:, i])
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def every_frame(path: Path) -> Tensor:
    """All frames as they are shown, by decoding from the first to the last."""
    with av.open(str(path)) as file:
        pictures = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    return torch.stack(pictures).permute(3, 0, 1, 2)


def silent_sound(path: Path) -> Path:
    """A file that holds sound only."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        for i in range(8):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 16000, 1024 * i, Fraction(1, 16000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path
