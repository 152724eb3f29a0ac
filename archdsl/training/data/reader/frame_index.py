"""Timestamps and key frames of a file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True)
class FrameIndex:
    """Timestamps and key frames, read from the packets without decoding."""

    times: tuple[int, ...]
    """Timestamp of each frame in display order, in units of `base`."""
    keys: tuple[int, ...]
    """Numbers of key frames, at which decoding can start."""
    base: Fraction
    """Seconds per unit."""

    @property
    def fps(self) -> float:
        """Frames per second, over the whole file."""
        reach = (self.times[-1] - self.times[0]) * self.base
        return float((len(self.times) - 1) / reach) if reach > 0 else 30.0

    def seconds(self, frame: int) -> float:
        """Time of a frame, relative to the first."""
        return float((self.times[frame] - self.times[0]) * self.base)

    def between(self, first: int, last: int) -> list[float]:
        """Times of the frames from first to last (exclusive), relative to frame 0."""
        return [(time - self.times[0]) * float(self.base) for time in self.times[first:last]]


def key_before(index: FrameIndex, frame: int) -> int:
    """The last key frame at or before a frame."""
    return index.keys[max(bisect_right(index.keys, frame) - 1, 0)]


def seek_groups(index: FrameIndex, wanted: list[int]) -> Iterator[list[int]]:
    """Frames grouped by seek: a new group where a key frame lies between two of them."""
    group = wanted[:1]
    for before, frame in pairwise(wanted):
        if key_before(index, frame) > before + 1:
            yield group
            group = []
        group.append(frame)
    yield group
