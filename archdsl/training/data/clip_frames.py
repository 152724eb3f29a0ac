"""Sampling: which frames of a video make a clip."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import floor
from random import Random

from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.snippets import Snippets

ROUNDING = 1e-6
"""Slack for rounding: a position just below a whole number is that frame."""


def sample_frames(
    sampling: Sampling,
    request: ClipRequest,
    count: int,
    length: int,
    fps: float,
    *,
    snippets: Sequence[Snippets] = (),
    times: Sequence[float] = (),
) -> list[int]:
    """Indices of `count` frames of a video of `length` frames. A short video repeats its last frame.

    `snippets` are the positions in the clip that a network with segments reads, `times` the timestamps of all frames in
    seconds; without them the clip is cut into equal segments, and frames are evenly spaced.
    """
    rng = Random(f"frames {request.seed}")
    if sampling.kind == "segments":
        places: Sequence[float] = sample_segments(
            snippets or even_snippets(count, sampling.snippet), request, rng, count, length
        )
    elif sampling.fps:
        return sample_by_time(sampling, request, rng, count, times or [i / fps for i in range(length)])
    else:
        reach = float((count - 1) * sampling.every)
        first = first_position(sampling, request, rng, reach, float(length - 1), 1.0, fps)
        places = [first + i * sampling.every for i in range(count)]
    return [min(max(floor(place + ROUNDING), 0), length - 1) for place in places]


def first_position(
    sampling: Sampling, request: ClipRequest, rng: Random, reach: float, last: float, frame: float, per_second: float
) -> float:
    """First position of a clip of length `reach`: around a time, random in training, or evenly spread in tests.

    Positions are in frames or in seconds; `last` is that of the last frame, `frame` the distance between two frames.
    """
    free = max(last - reach, 0.0)
    if sampling.kind == "centre" and request.centre is not None:
        return min(max(request.centre * per_second - reach / 2, 0.0), free)
    if request.training:
        return floor(rng.random() * (floor(free / frame + ROUNDING) + 1)) * frame
    return free / 2 if request.clips == 1 else free * request.clip / (request.clips - 1)


def sample_by_time(
    sampling: Sampling, request: ClipRequest, rng: Random, count: int, times: Sequence[float]
) -> list[int]:
    """The frames shown at regular times. In training the first time is that of a frame."""
    step = sampling.every / (sampling.fps or 1.0)
    frame = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else step
    # containers round times: Matroska by half a millisecond, of the first frame and of this one
    slack = min(frame / 10, 1.1e-3)
    reach = (count - 1) * step
    first = times[0] + first_position(sampling, request, rng, reach, times[-1] - times[0], frame, 1.0)
    if request.training:
        first = times[shown_at(times, first + slack)]
    return [shown_at(times, first + i * step + slack) for i in range(count)]


def shown_at(times: Sequence[float], second: float) -> int:
    """The frame shown at a time; the first frame before all."""
    return max(bisect_right(times, second) - 1, 0)


def even_snippets(count: int, length: int) -> tuple[Snippets, ...]:
    """A clip cut into snippets of a length; the last one may be shorter."""
    return (Snippets(tuple(range(i, min(i + length, count)) for i in range(0, count, length)), length),)


def sample_segments(
    snippets: Sequence[Snippets], request: ClipRequest, rng: Random, count: int, length: int
) -> list[int]:
    """The frames of a clip, each snippet from its own segment. Frames that no pathway reads repeat the one before."""
    frames: dict[int, int] = {}
    for group in snippets:
        firsts = first_frames(request, rng, len(group.places), max(length - group.span + 1, 1))
        for first, places in zip(firsts, group.places):
            frames |= {place: first + i for i, place in enumerate(places)}
    before = frames[min(frames)]
    return [before := frames.get(place, before) for place in range(count)]


def first_frames(request: ClipRequest, rng: Random, segments: int, starts: int) -> list[int]:
    """First frame of each segment's snippet, among `starts` possible ones.

    In training at random within equal parts (arXiv:1608.00859; mmaction2's `keep_tail_frames`: TSN's own code cuts
    parts to whole frames and never reaches the last few). In tests the middle; of two clips the second takes the
    frames at which segments begin (TSM's `twice_sample`), and more clips are spread evenly between.
    """
    within = (0.5 + request.clip / request.clips) % 1
    shares = [rng.random() if request.training else within for _ in range(segments)]
    return [floor((i + share) * starts / segments) for i, share in enumerate(shares)]
