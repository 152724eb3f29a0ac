"""Up to which size, or from which, a pass pays: single cases of growing size with it and without it, in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import log, sqrt

from archdsl.backend.devices import device_of
from archdsl.backend.passes import Bound, Pass
from archdsl.measuring.cases import Arena, forward_of_case, training_step_of_case
from archdsl.measuring.comparison import BenchSetup
from archdsl.measuring.machine import synchronizer
from archdsl.measuring.tables import geometric_mean
from archdsl.measuring.timer import Report, StepFunction, seconds_of, timed_interleaved
from archdsl.ops import Affinity, BatchNorm, Conv, Gather, Relu, Shape, Softmax
from archdsl.report.latency.cases import Case
from archdsl.report.lowering_policy import PassChoice, PassChoices

CLEAR_SPEEDUP = 1.03
"""How many times quicker something must be to count."""


def convolutions(channels: int) -> list[Case]:
    """Within frames and along time, of so many channels."""
    x = Shape(channels, 8, 28, 28)
    kernels = {"frame": (1, 3, 3), "time": (3, 1, 1)}
    return [
        Case(kind, (Conv(out_channels=channels, kernel=kernel), BatchNorm(), Relu()), (x,))
        for kind, kernel in kernels.items()
    ]


def sums(pairs: int) -> list[Case]:
    """Over all pairs, about so many a channel: of 4 to 32 frames of 14 x 14, with a key for four queries.

    Sizes are those of networks: where positions are a multiple of 16, torch's kernel is up to a third quicker.
    """
    keys = Shape(256, round(sqrt(256 * pairs) / 98), 7, 7)
    queries = keys._replace(h=14, w=14)
    return [Case("attention", (Affinity(), Softmax(axis="c"), Gather()), (queries, keys, keys))]


CASES_BY_SIZE: dict[str, tuple[Callable[[int], list[Case]], tuple[int, ...]]] = {
    "views": (convolutions, (8, 16, 32, 64, 128, 256)),
    "attention": (sums, (600, 2400, 5400, 9600, 21600, 38400)),
}
"""Pass -> cases of a size, and sizes."""


def measure_bound(one: Pass, others: PassChoices, setup: BenchSetup, rounds: int, report: Report) -> PassChoice:
    """Whether a pass pays on top of others, or at which sizes."""
    assert one.bound is not None
    cases_of_size, sizes = CASES_BY_SIZE[one.name]
    ratios = {}
    for size in sizes:
        report(f"{one.name}{one.bound_text({one.bound.name: size})}, {'train' if setup.train else 'infer'}")
        ratios[size] = geometric_mean(
            [case_speedup(case, others, one.name, setup, rounds) for case in cases_of_size(size)]
        )
    return best_bound(one.bound, ratios)


def case_speedup(case: Case, others: PassChoices, name: str, setup: BenchSetup, rounds: int) -> float:
    """How many times quicker a case is with a pass than without it."""
    xs = Arena(sum(x.elements for x in case.reads), device_of(setup.device)).maps(case)
    for x in xs:
        x.normal_()
    made = training_step_of_case if setup.train else forward_of_case
    return speedup(lambda row: made(case, xs, row), with_and_without(name, others), setup, rounds)


def with_and_without(name: str, others: PassChoices) -> tuple[PassChoices, PassChoices]:
    """Others with a pass, and without it."""
    return {**others, name: True}, {**others, name: False}


def speedup(
    made: Callable[[PassChoices], StepFunction], rows: tuple[PassChoices, PassChoices], setup: BenchSetup, rounds: int
) -> float:
    """How many times quicker the step is that is made by the first of two rows."""
    wait = synchronizer(device_of(setup.device))
    steps = {side: made(row) for side, row in zip(("with", "without"), rows)}
    for step in steps.values():
        seconds_of(step, wait)
    times = timed_interleaved(steps, rounds, wait)
    return times["with"].ratio_of(times["without"])


def best_bound(bound: Bound, ratios: Mapping[int, float]) -> PassChoice:
    """The choice that gains the most over all sizes, where ratios say how many times quicker the pass is at each.

    A size at which it is about level counts for nothing; of two choices that gain as much the one that takes less.
    """
    sizes = sorted(ratios, reverse=bound.side == "from")
    gains = [log(ratio) if abs(log(ratio := ratios[size])) > log(CLEAR_SPEEDUP) else 0.0 for size in sizes]
    totals = [0.0, *accumulate(gains)]
    most = totals.index(max(totals))
    return {bound.name: sizes[most - 1]} if 0 < most < len(sizes) else most > 0
