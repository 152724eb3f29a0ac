"""Predicted latency beside measured, for networks of the zoo: cases, then networks, in one process.

python -m benchmarks.latency -o benchmarks/latency.md --table archdsl/report/latency/machine.json    three minutes
python -m benchmarks.latency --by archdsl/report/latency/machine.json    by a table that was measured before
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import archdsl
from archdsl.backend.devices import device_of
from archdsl.measuring import (
    CALIBRATION_NETWORKS,
    CASE_COUNT,
    WHOLE_NETWORKS,
    TimedRounds,
    calibration_cases,
    machine_table,
    measure_cases,
)
from archdsl.measuring.calibration import CALIBRATION_ROUNDS
from archdsl.measuring.machine import machine_name
from archdsl.report.latency.cases import cases_of
from archdsl.report.latency.machine import Machine, TimedCase, passes_on, read_machine
from archdsl.report.latency.prediction import Latency
from archdsl.report.lowering_policy import MODES
from archdsl.report.number_format import percent, plural, seconds_text
from archdsl.report.table.formats import to_md
from archdsl.report.table.sheet import Column, Row, Table

MODELS = (
    *("slow_8x8_r50", "slowfast_4x16_r50", "slowfast_8x8_r50", "slowfast_tiny", "r2plus1d_16x4_r50", "x3d_xs"),
    *("x3d_s", "x3d_m", "ircsn_r101", "i3d_8x8_r50", "s3d", "tsm_r50", "slow_8x8_r50_nl"),
)
"""Chosen before any error was seen; none of them is sampled or fitted."""
AIM = 0.2

ABOUT = f"""\
# Latency: predicted and measured

`make benchmarks/latency.md` writes this page and the table that comes along. In each round every case of the table runs
once alone, then {len(WHOLE_NETWORKS)} whole networks, which tell how much longer cases take among others, then the
{len(MODELS)} networks below, of which nothing goes into the table. A network's time is the sum of its cases'; a case
is interpolated between the {CASE_COUNT} that were measured, spread over the cases of {len(CALIBRATION_NETWORKS)} other
networks. *sampled* is the share of the predicted time that needs no interpolation, since other networks have cases of
just those sizes. Rounds in which other processes had the processors are left out where three others remain; *least* and
*most* are of all rounds. A table from another hour (`--by FILE`) errs by the machine's drift on top of this. Where no
sample is near, a case may err twofold: r2plus1d's largest maps took twice what the nearest samples told.
"""


@dataclass(frozen=True)
class Pair:
    """One network: what was told, and what it took."""

    told: Latency
    took: TimedRounds

    @property
    def error(self) -> float:
        """Predicted over measured, minus 1."""
        return self.told.seconds / self.took.seconds - 1

    @property
    def sampled(self) -> float:
        """The share of the predicted time that stands in the table as it is."""
        known = {(kind, one.sizes) for kind, found in self.told.machine.samples.items() for one in found}
        cases = [(case.kind, case.sizes()) for _, case in cases_of(self.told.plan, self.told.machine.pays["infer"])]
        times = [seconds for _, seconds in self.told.cases]
        return sum(time for case, time in zip(cases, times) if case in known) / sum(times)


def page(pairs: list[Pair], machine: Machine) -> str:
    """The page."""
    titles = ("model", "input", "predicted", "measured", "least", "most", "error", "sampled")
    columns = tuple(Column(title, right=at > 1) for at, title in enumerate(titles))
    middle = median(abs(pair.error) for pair in pairs)
    rows = [Row(cells(pair)) for pair in pairs]
    verdict = "reached" if middle <= AIM else "missed"
    lines = [
        f"Median error {100 * middle:.0f}% (aim: at most {100 * AIM:.0f}%, {verdict}), "
        f"largest {100 * max(abs(pair.error) for pair in pairs):.0f}%. {left_out(machine)}",
        f"{machine.name}; {plural(len(pairs[0].took.rounds), 'round')}; a case takes {machine.scale:.2f} times as long "
        f"among others as alone, where a call that does nothing takes {1e6 * machine.empty:.0f} microseconds.",
    ]
    return "\n\n".join([ABOUT.rstrip(), to_md(Table("", columns, tuple(rows), ())).rstrip(), *lines, ""])


def cells(pair: Pair) -> tuple[str, ...]:
    """One network's row."""
    took = [taken for taken, _ in pair.took.rounds]
    (shape,) = pair.told.plan.inputs.values()
    return (
        pair.told.plan.name,
        "×".join(map(str, shape)),
        *map(seconds_text, (pair.told.seconds, pair.took.seconds, min(took), max(took))),
        f"{100 * pair.error:+.0f}%",
        percent(pair.sampled, 1),
    )


def left_out(machine: Machine) -> str:
    """How well each case of the table is told by the others."""
    errors = []
    for kind, found in machine.samples.items():
        for one in found:
            others = tuple(other for other in found if other is not one)
            if others:
                told = without(machine, kind, others).alone(kind, one.sizes)
                errors.append(abs(told / one.seconds - 1))
    return f"A case left out of the table is told by the others to {100 * median(errors):.0f}% in the median."


def without(machine: Machine, kind: str, others: tuple[TimedCase, ...]) -> Machine:
    """The table with other samples of one kind."""
    return Machine(machine.name, machine.device, {**machine.samples, kind: others})


def arguments() -> argparse.Namespace:
    """What was asked."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("-o", "--output", help="the page; by default it is printed")
    words.add_argument("--table", help="where the table goes; by default nowhere")
    words.add_argument("--by", help="a table from before, instead of measuring one")
    words.add_argument("--runs", type=int, default=CALIBRATION_ROUNDS)
    words.add_argument("--device", default="cpu")
    return words.parse_args()


def main() -> None:
    # oneDNN keeps 1024 kernels: with the networks beside the table there are more, each made anew in every round
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
    given = arguments()
    told = lambda text: print(f"  {text}", file=sys.stderr, flush=True)  # noqa: E731
    models, whole = ([archdsl.compile(archdsl.load(name)) for name in names] for names in (MODELS, WHOLE_NETWORKS))
    device = device_of(given.device)
    if given.by:
        machine = read_machine(Path(given.by))
        assert machine.name == machine_name(device), f"measured on {machine.name}"
        times = measure_cases([], models, given.device, machine.pays["infer"], given.runs, told)
    else:
        pays = {mode: passes_on(device.type, mode) for mode in MODES}
        cases = calibration_cases(pays["infer"])
        times = measure_cases(cases, [*whole, *models], given.device, pays["infer"], given.runs, told)
        machine = machine_table(cases, whole, times, given.device, pays)
    text = page([Pair(Latency(plan, machine), times[plan.name]) for plan in models], machine)
    if given.table:
        Path(given.table).write_text(machine.text(), encoding="utf-8")
    if given.output:
        Path(given.output).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
