"""Comparisons as a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, log

from archdsl.measuring.comparison import Comparison, ContestantTimes
from archdsl.measuring.machine import gigaflops
from archdsl.report.number_format import plural, seconds_text
from archdsl.report.table.sheet import Column, Row, Table

MAX_ROUNDING_ERRORS = {"fp32": 1e-4, "bf16": 0.1, "fp16": 0.02}
"""A relative error beyond this is no rounding."""


def bench_table(comparisons: Sequence[Comparison]) -> Table:
    """One row for each side of each plan."""
    columns = (
        Column("name"),
        Column("side"),
        Column("median", right=True),
        Column("quartiles", right=True),
        Column("least", right=True),
        Column("ratio", right=True),
        Column("of least", right=True),
        Column("error", right=True),
        Column("clips/s", right=True),
        Column("GFLOP/s", right=True),
        Column("of peak", right=True),
        Column("memory", right=True),
        Column("made", right=True),
        Column("first step", right=True),
    )
    rows = [
        Row(contestant_cells(one, side), "differs" if side.error > MAX_ROUNDING_ERRORS[one.setup.precision] else "")
        for one in comparisons
        for side in one.sides
    ]
    if len(comparisons) > 1:
        rows += [Row(mean_cells(comparisons, at)) for at in range(1, len(comparisons[0].sides))]
    return Table("", columns, tuple(rows), tuple(one.record() for one in comparisons), bench_note(comparisons[0]))


def contestant_cells(one: Comparison, side: ContestantTimes) -> tuple[str, ...]:
    """The cells of one side."""
    low, high = side.times.quartiles
    most = one.peaks.get(side.side)
    return (
        one.plan.name,
        side.side,
        seconds_text(side.times.median),
        f"{seconds_text(low)} to {seconds_text(high)}",
        seconds_text(side.times.least),
        f"{one.ratio(side):.2f}",
        f"{one.base.times.least / side.times.least:.2f}",
        "" if side is one.base else f"{side.error:.1e}",
        f"{one.setup.batch / side.times.median:.3g}",
        f"{one.gigaflops(side):.0f}",
        f"{100 * one.share(side):.0f}%",
        f"{most / 2**20:.0f} MiB" if most else "",
        seconds_text(side.made),
        seconds_text(side.first),
    )


def mean_cells(comparisons: Sequence[Comparison], at: int) -> tuple[str, ...]:
    """The geometric mean of a side's ratios, over plans that have as many sides."""
    found = [one for one in comparisons if len(one.sides) > at]
    mean = geometric_mean([one.ratio(one.sides[at]) for one in found])
    least = geometric_mean([one.base.times.least / one.sides[at].times.least for one in found])
    side = found[0].sides[at].side
    return (f"geometric mean of {len(found)}", side, "", "", "", f"{mean:.2f}", f"{least:.2f}", *[""] * 7)


def geometric_mean(ratios: Sequence[float]) -> float:
    """The number whose power is their product."""
    return exp(fsum(map(log, ratios)) / len(ratios))


def bench_note(one: Comparison) -> str:
    """What was measured, where, and how."""
    what = "forward, backward and a step of SGD" if one.setup.train else "forward"
    told = f"{what} of {plural(one.setup.batch, 'clip')} in {one.setup.precision}; {one.machine}; "
    told += f"{plural(len(one.base.times.rounds), 'round')}, in each of them every side once; "
    told += "ratio: median over rounds of the first side's seconds over a side's; "
    told += f"of peak: of the {gigaflops(one.yardstick.median):.0f} GFLOP/s of a matrix product in the same rounds; "
    told += "GFLOP/s: 2 per multiply-add of a forward" + (", 3 forwards in a step; " if one.setup.train else "; ")
    told += "error: of " + ("the loss" if one.setup.train else "outputs") + ", relative to the first side's"
    return told if one.others is None else f"{told}; other processes had {100 * one.others:.0f}% of the processors"
