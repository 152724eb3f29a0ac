"""Predicted latency of a forward, from cases measured on a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archdsl.compiler import Plan
from archdsl.report.latency.cases import cases_of
from archdsl.report.latency.machine import Machine, origin_of
from archdsl.report.number_format import percent, plural, seconds_text, shapes_text
from archdsl.report.table.sheet import Column, Row, Table

KINDS_SHOWN = 3
"""Kinds of cases that a row names."""


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward of the network that `auto` lowers and `freeze` freezes."""

    plan: Plan
    machine: Machine
    batch: int = 1

    @cached_property
    def cases(self) -> list[tuple[str, float]]:
        """(kind, seconds) of every case, in the order in which they run."""
        known: dict[Any, float] = {}
        found = []
        for _, case in cases_of(self.plan, self.machine.pays.get("infer", {})):
            key = case.kind, case.sizes(self.batch)
            if key not in known:
                known[key] = self.machine.seconds(*key)
            found.append((case.kind, known[key]))
        return found

    @property
    def seconds(self) -> float:
        """Of the whole network: one case after the other."""
        return sum(seconds for _, seconds in self.cases)

    @property
    def kinds(self) -> dict[str, float]:
        """Seconds by kind of case, the longest first."""
        sums: dict[str, float] = {}
        for kind, seconds in self.cases:
            sums[kind] = sums.get(kind, 0.0) + seconds
        return dict(sorted(sums.items(), key=lambda one: one[1], reverse=True))

    @property
    def unknown(self) -> list[str]:
        """Kinds that the table lacks: predicted by the roofline, a lower bound."""
        return [kind for kind in self.kinds if kind not in self.machine.samples]

    def record(self, views: int = 1) -> dict[str, Any]:
        """By name, in seconds; `seconds` are of all views, one forward for each."""
        return {
            "name": self.plan.name,
            "input": {name: list(shape) for name, shape in self.plan.inputs.items()},
            "batch": self.batch,
            "views": views,
            "seconds": views * self.seconds,
            "machine": self.machine.name,
            "device": self.machine.device,
            "shipped": self.machine.shipped,
            "kinds": {kind: views * seconds for kind, seconds in self.kinds.items()},
            "unknown": self.unknown,
        }


def latency_table(latencies: Sequence[Latency], views: int = 1) -> Table:
    """One row for each network."""
    columns = (
        Column("name"),
        Column("input"),
        Column("latency", right=True),
        Column("GFLOP/s", right=True),
        Column("where it goes"),
    )
    rows = tuple(Row(latency_cells(one, views)) for one in latencies)
    return Table("", columns, rows, tuple(one.record(views) for one in latencies), latency_note(latencies))


def latency_cells(one: Latency, views: int) -> tuple[str, ...]:
    """The cells of one network."""
    total = one.seconds
    goes = [f"{kind} {percent(seconds, total)}" for kind, seconds in list(one.kinds.items())[:KINDS_SHOWN]]
    return (
        one.plan.name,
        shapes_text(one.plan.inputs),
        seconds_text(views * total),
        f"{2 * one.plan.macs * one.batch / total / 1e9:.0f}",
        ", ".join(goes),
    )


def latency_note(latencies: Sequence[Latency]) -> str:
    """What was predicted, and from which table."""
    one = latencies[0]
    told = f"forward of {plural(one.batch, 'clip')}, lowered by auto and frozen; predicted, not run: "
    told += origin_of(one.machine)
    unknown = dict.fromkeys(kind for latency in latencies for kind in latency.unknown)
    return told + (f"; no measurements, so only a lower bound (roofline) for {', '.join(unknown)}" if unknown else "")
