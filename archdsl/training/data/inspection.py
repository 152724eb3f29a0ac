"""Check that every video of a data set can be read, and measure how fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple

from archdsl.errors import SpecError
from archdsl.training.data.clips import ClipRequest, Sample, Videos
from archdsl.training.data.reader.backends import Decoder, available_decoders
from archdsl.training.data.reader.workers import ChangeSample, read_clips
from archdsl.training.data.sources.videos import Files

CLIPS_PER_READ = 8
"""Clips per batch."""
MAX_BATCHES = 10_000
"""Batches of one measurement."""


@dataclass(frozen=True)
class VideoCheck:
    """One video: its name, and why it cannot be read."""

    name: str
    reason: str | None


def check_videos(videos: Videos, workers: int) -> Iterator[VideoCheck]:
    """Read the first clip of every video."""
    batches = [[(index, ClipRequest(0))] for index in range(len(videos))]
    for wanted, found, _ in read_clips(videos, batches, workers):
        (index, _), one = wanted[0], found[0]
        yield VideoCheck(videos.name(index), None if isinstance(one, Sample) else one.reason)


class ReadSpeed(NamedTuple):
    """Throughput of one decoder with one number of workers."""

    decoder: Decoder
    workers: int
    clips: int
    frames: int
    """Frames decoded for all clips."""
    seconds: float

    @property
    def rate(self) -> float:
        """Clips per second."""
        return self.clips / self.seconds


def measure_speeds(
    videos: Files, workers: list[int], seconds: float, rounds: int, crop: ChangeSample | None = None
) -> Iterator[ReadSpeed]:
    """Measure every decoder with every number of workers, in turn, `rounds` times, for about `seconds` each."""
    for round_ in range(rounds):
        for decoder in available_decoders():
            for count in workers:
                yield measure_speed(replace(videos, decoder=decoder), count, seconds, round_, crop)


def measure_speed(
    videos: Files, workers: int, seconds: float, seed: int, crop: ChangeSample | None = None
) -> ReadSpeed:
    """Measure one decoder and number of workers, after the workers have started."""
    batches = [
        [
            ((batch * CLIPS_PER_READ + i) % len(videos), ClipRequest(seed * MAX_BATCHES + batch, training=True))
            for i in range(CLIPS_PER_READ)
        ]
        for batch in range(MAX_BATCHES)
    ]
    clips, frames, begun = 0, 0, 0.0
    for _, found, _ in read_clips(videos, batches, workers, crop=crop):
        if not begun:
            begun = perf_counter()  # the first batch waits for processes to start
            continue
        clips += sum(isinstance(one, Sample) for one in found)
        frames += sum(one.decoded for one in found if isinstance(one, Sample))
        if perf_counter() - begun > seconds:
            break
    if not clips:
        raise SpecError("no video can be read", got=videos.name(0), fix="archdsl data check")
    return ReadSpeed(videos.decoder, workers, clips, frames, perf_counter() - begun)
