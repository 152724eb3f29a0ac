"""What is in a data set, and how fast it can be read here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple

from archdsl.errors import SpecError
from archdsl.training.data.clips import Sample, Take
from archdsl.training.data.reader.decoder import Decoder, decoders_here
from archdsl.training.data.reader.workers import read
from archdsl.training.data.sources.videos import Files

BATCH = 8
"""Clips that are asked for at once."""
MOST = 10_000
"""Batches of one measurement."""


@dataclass(frozen=True)
class Found:
    """One video of a data set: what it is called, why it cannot be read, if so."""

    name: str
    reason: str | None


def inspected(videos: Files, workers: int) -> Iterator[Found]:
    """Every video, with the first clip of each read."""
    asked = [[(index, Take(0))] for index in range(len(videos))]
    for wanted, found, _ in read(videos, asked, workers):
        (index, _), one = wanted[0], found[0]
        yield Found(videos.name(index), None if isinstance(one, Sample) else one.reason)


class Speed(NamedTuple):
    """How fast clips are read in one way."""

    decoder: Decoder
    workers: int
    clips: int
    seconds: float

    @property
    def rate(self) -> float:
        """Clips per second."""
        return self.clips / self.seconds


def speeds(videos: Files, workers: list[int], seconds: float, rounds: int) -> Iterator[Speed]:
    """Every decoder with every number of workers, in turn, `rounds` times; each reads for about so many seconds."""
    for round_ in range(rounds):
        for decoder in decoders_here():
            for count in workers:
                yield speed(replace(videos, decoder=decoder), count, seconds, round_)


def speed(videos: Files, workers: int, seconds: float, seed: int) -> Speed:
    """One way of reading, after its workers have started."""
    asked = [
        [((batch * BATCH + i) % len(videos), Take(seed * MOST + batch, training=True)) for i in range(BATCH)]
        for batch in range(MOST)
    ]
    clips, begun = 0, 0.0
    for _, found, _ in read(videos, asked, workers):
        if not begun:
            begun = perf_counter()  # the first batch waits for processes to start
            continue
        clips += sum(isinstance(one, Sample) for one in found)
        if perf_counter() - begun > seconds:
            break
    if not clips:
        raise SpecError("no video can be read", got=videos.name(0), fix="archdsl data check")
    return Speed(videos.decoder, workers, clips, perf_counter() - begun)
