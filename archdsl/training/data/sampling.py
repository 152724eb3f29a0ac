"""Which frames of a video make a clip."""

from __future__ import annotations

from math import floor
from random import Random

from archdsl.language.recipe_clips import Sampling
from archdsl.training.data.clips import Take


def chosen_frames(sampling: Sampling, take: Take, count: int, length: int, fps: float) -> list[int]:
    """Indices of `count` frames of a video of `length` frames, in order. A video too short repeats its last frame."""
    luck = Random(f"frames {take.seed}")
    if sampling.kind == "segments":
        places = in_segments(sampling, take, luck, count, length)
    else:
        step = sampling.every * (fps / sampling.fps if sampling.fps else 1.0)
        first = first_frame(sampling, take, luck, (count - 1) * step, length, fps)
        places = [first + i * step for i in range(count)]
    # what a division leaves below a whole number is not a frame earlier
    return [min(max(floor(place + 1e-6), 0), length - 1) for place in places]


def first_frame(sampling: Sampling, take: Take, luck: Random, reach: float, length: int, fps: float) -> float:
    """Where a clip that reaches so far begins: around a time, anywhere it fits, or in tests evenly spread."""
    free = max(length - 1 - reach, 0.0)
    if sampling.kind == "centre" and take.centre is not None:
        return min(max(take.centre * fps - reach / 2, 0.0), free)
    if take.training:
        return floor(luck.random() * (floor(free) + 1))
    return free / 2 if take.clips == 1 else free * take.clip / (take.clips - 1)


def in_segments(sampling: Sampling, take: Take, luck: Random, count: int, length: int) -> list[float]:
    """A snippet of each of equal parts of the video (arXiv:1608.00859).

    In training at random within its part; in tests in the middle, several clips evenly spread within it.
    """
    parts, rest = divmod(count, sampling.snippet)
    if rest:
        parts += 1
    part = max(length - sampling.snippet + 1, 1) / parts
    within = [luck.random() if take.training else (take.clip + 0.5) / take.clips for _ in range(parts)]
    firsts = [floor((i + share) * part) for i, share in enumerate(within)]
    return [first + float(i) for first in firsts for i in range(sampling.snippet)][:count]
