"""Which frames of a video make a clip."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import floor
from random import Random

from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.clips import Take
from archdsl.training.data.snippets import Snippets

EXACT = 1e-6
"""What a division leaves below a whole number is not a frame earlier."""


def chosen_frames(
    sampling: Sampling,
    take: Take,
    count: int,
    length: int,
    fps: float,
    *,
    snippets: Sequence[Snippets] = (),
    times: Sequence[float] = (),
) -> list[int]:
    """Indices of `count` frames of a video of `length` frames. A video too short repeats its last frame.

    `snippets` says where a network that reads segments finds them in its clip, `times` when each frame is shown, in
    seconds; without them the clip is cut into segments evenly, and the frames follow each other evenly.
    """
    luck = Random(f"frames {take.seed}")
    if sampling.kind == "segments":
        places: Sequence[float] = in_segments(snippets or evenly(count, sampling.snippet), take, luck, count, length)
    elif sampling.fps:
        return by_time(sampling, take, luck, count, times or [i / fps for i in range(length)])
    else:
        reach = float((count - 1) * sampling.every)
        first = first_place(sampling, take, luck, reach, float(length - 1), 1.0, fps)
        places = [first + i * sampling.every for i in range(count)]
    return [min(max(floor(place + EXACT), 0), length - 1) for place in places]


def first_place(
    sampling: Sampling, take: Take, luck: Random, reach: float, last: float, frame: float, per_second: float
) -> float:
    """Where a clip that reaches so far begins: around a time, at any frame it fits behind, or in tests evenly spread.

    Places are counted in frames or in seconds; `last` is the last frame's place, `frame` the distance of two frames.
    """
    free = max(last - reach, 0.0)
    if sampling.kind == "centre" and take.centre is not None:
        return min(max(take.centre * per_second - reach / 2, 0.0), free)
    if take.training:
        return floor(luck.random() * (floor(free / frame + EXACT) + 1)) * frame
    return free / 2 if take.clips == 1 else free * take.clip / (take.clips - 1)


def by_time(sampling: Sampling, take: Take, luck: Random, count: int, times: Sequence[float]) -> list[int]:
    """The frames that a player shows at even distances in time. In training the first instant is a frame's own."""
    step = sampling.every / (sampling.fps or 1.0)
    frame = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else step
    # containers round times: Matroska by half a millisecond, of the first frame and of this one
    slack = min(frame / 10, 1.1e-3)
    reach = (count - 1) * step
    first = times[0] + first_place(sampling, take, luck, reach, times[-1] - times[0], frame, 1.0)
    if take.training:
        first = times[shown_at(times, first + slack)]
    return [shown_at(times, first + i * step + slack) for i in range(count)]


def shown_at(times: Sequence[float], second: float) -> int:
    """The last frame that is shown by then; the first before all."""
    return max(bisect_right(times, second) - 1, 0)


def evenly(count: int, length: int) -> tuple[Snippets, ...]:
    """A clip cut into snippets of a length, the last one shorter where they do not fill it."""
    return (Snippets(tuple(range(i, min(i + length, count)) for i in range(0, count, length)), length),)


def in_segments(snippets: Sequence[Snippets], take: Take, luck: Random, count: int, length: int) -> list[int]:
    """The frames of a clip whose snippets come each from its segment. Frames nobody reads repeat the one before."""
    frames: dict[int, int] = {}
    for group in snippets:
        firsts = first_frames(take, luck, len(group.places), max(length - group.span + 1, 1))
        for first, places in zip(firsts, group.places):
            frames |= {place: first + i for i, place in enumerate(places)}
    before = frames[min(frames)]
    return [before := frames.get(place, before) for place in range(count)]


def first_frames(take: Take, luck: Random, segments: int, starts: int) -> list[int]:
    """The first frame of each segment's snippet, of `starts` frames at which one may begin.

    In training at random within equal parts (arXiv:1608.00859; mmaction2's `keep_tail_frames`: TSN's own code cuts
    parts to whole frames, and so never reaches the last few). In tests the middle; of two clips the second takes the
    frames at which segments begin (TSM's `twice_sample`), and more clips lie evenly between.
    """
    within = (0.5 + take.clip / take.clips) % 1
    shares = [luck.random() if take.training else within for _ in range(segments)]
    return [floor((i + share) * starts / segments) for i, share in enumerate(shares)]
