"""Limits of reading one clip: pixels, frames, seconds. A file beyond them is unreadable."""

from __future__ import annotations

from time import monotonic

from archdsl.training.data.clips import Unreadable

MAX_FRAME_PIXELS = 8192 * 4320
"""Pixels of a frame: those of 8K, which take 101 MiB."""
MAX_CLIP_PIXELS = 1 << 29
"""Pixels of all frames of a clip, which take 1.5 GiB."""
MAX_FRAMES = 2_000_000
"""Frames of a file: 18 hours at 30 per second."""
READ_SECONDS = 60.0
"""Seconds for one clip."""


def check_time(name: str, begun: float) -> None:
    """Raise Unreadable where a clip has taken longer than READ_SECONDS."""
    if monotonic() - begun > READ_SECONDS:
        raise Unreadable(name, f"reading it takes longer than {READ_SECONDS:.0f} s")


def check_memory(name: str, frames: int, width: int, height: int) -> None:
    """Raise Unreadable where a clip's frames have more than MAX_CLIP_PIXELS."""
    if frames * width * height > MAX_CLIP_PIXELS:
        raise Unreadable(name, f"{frames} frames of {width}x{height} pixels exceed the memory limit")
