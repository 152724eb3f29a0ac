"""Several steps timed in turn, so that a machine that slows down slows them all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

StepFunction = Callable[[], object]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Times:
    """Seconds of one step, a figure for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the rounds took less."""
        return median(self.rounds)

    @property
    def least(self) -> float:
        """The quickest round."""
        return min(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the rounds took less than the first, a quarter more than the second."""
        if len(self.rounds) == 1:
            return self.rounds[0], self.rounds[0]
        low, _, high = quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def ratio_of(self, base: Times) -> float:
        """How many times quicker than the base: the median over rounds, each of which compares neighbours in time."""
        return median(b / own for own, b in zip(self.rounds, base.rounds, strict=True))

    def record(self) -> dict[str, object]:
        """By name, in seconds."""
        quartiles = list(self.quartiles)
        return {"median": self.median, "quartiles": quartiles, "least": self.least, "rounds": list(self.rounds)}


def seconds_of(step: StepFunction, wait: StepFunction) -> float:
    """Wall seconds of a step, until the device has done it."""
    wait()
    begun = perf_counter()
    step()
    wait()
    return perf_counter() - begun


def timed_interleaved(
    steps: Mapping[str, StepFunction],
    rounds: int,
    wait: StepFunction = lambda: None,
    report: Report = lambda text: None,
) -> dict[str, Times]:
    """Every step once in each round, each round opened by another one. Who calls has warmed them up."""
    names = list(steps)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with no_collection():
        for done in range(rounds):
            report(f"round {done + 1} of {rounds}")
            first = done % len(names)
            for name in names[first:] + names[:first]:
                seconds[name].append(seconds_of(steps[name], wait))
    return {name: Times(tuple(taken)) for name, taken in seconds.items()}


@contextmanager
def no_collection() -> Iterator[None]:
    """Python collects its garbage before, not in between."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
