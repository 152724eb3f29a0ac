"""bench."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.catalog import load
from archdsl.cli import overrides as g
from archdsl.cli.console import DIM, painted, say, say_table, write_text
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError, printable
from archdsl.spec.files import check_writable, make_folder

if TYPE_CHECKING:
    from archdsl.measuring import BenchSetup, Comparison, Contestant

REPEATED_OPTIONS = ("set", "param", "lower")
DEFAULT_RUNS = 7
PLAIN_OPTIONS = (*g.COMMON, "vs", "batch", "device", "precision")


def bench_command(given: Namespace) -> int:
    """Networks timed in turn: lowered beside literal, or ours beside a peer."""
    from archdsl.backend.devices import device_of
    from archdsl.measuring import BenchSetup, bench_table

    device_of(given.device)
    if given.calibrate:
        return calibrate(given)
    if given.output not in (None, "-"):
        check_writable(given.output)
    setup = BenchSetup(given.batch, given.train, given.device, given.runs or DEFAULT_RUNS, given.precision)
    plans = list(named_plans(given))
    if given.only:
        return run_one_side(given, plans, setup)
    found = [compare_one(given, setup, *named) for named in plans]
    show_status(None)
    made = bench_table(found)
    if given.output:
        from archdsl.report.table.formats import in_format

        write_text(in_format(made, "md" if given.format == "text" else given.format), given.output)
    else:
        say_table(made, given.format)
    return 0


def named_plans(given: Namespace) -> Iterator[tuple[str, Plan]]:
    """(how a process of its own finds it, plan) of every model named."""
    if not given.names:
        yield from ((model.name, compile(g.overridden_arch(model, given))) for model in g.models_named(given))
    for name in given.names:
        for model in g.models_of(name):
            yield f"{name}:{model.name}" if name.endswith(".py") else name, compile(g.overridden_arch(model, given))


def compare_one(given: Namespace, setup: BenchSetup, name: str, plan: Plan) -> Comparison:
    """One plan: the memory of each side in a process of its own, then all sides in turn in this one."""
    from archdsl.measuring import compare, peak_of_command

    sides = sides_of(plan, given)
    peaks = {}
    for side in sides:
        show_status(f"{plan.name}: memory of {side.name}")
        peaks[side.name] = peak_of_command(side_command(given, name, side.name))
    return compare(plan, sides, setup, lambda text: show_status(f"{plan.name}: {text}"), peaks)


def sides_of(plan: Plan, given: Namespace) -> list[Contestant]:
    """What is compared, the base first: the peer, or the literal network; then ours, lowered as --lower says."""
    from archdsl.measuring import own_contestant, peer_contestant

    own = partial(own_contestant, plan, train=given.train, device=given.device)
    base = peer_contestant(given.vs) if given.vs else own("none")
    wanted = [*([] if given.vs else ["none"]), *(given.lower or ["auto"])]
    ours = [own(lower, compiled=compiled) for lower in wanted for compiled in (False, *[True] * given.compiled)]
    sides = {side.name: side for side in (base, *ours)}
    return list(sides.values())


def run_one_side(given: Namespace, plans: list[tuple[str, Plan]], setup: BenchSetup) -> int:
    """One side of one plan and nothing else: its memory, or something to hold a profiler to."""
    from archdsl.measuring import peak_alone as run_alone

    for _, plan in plans:
        sides = {side.name: side for side in sides_of(plan, given)}
        if given.only not in sides:
            raise SpecError(f"no side {given.only!r}", got=given.only, want=", ".join(sides))
        say(json.dumps({"name": plan.name, **run_alone(plan, sides[given.only], setup)}))
    return 0


def side_command(given: Namespace, name: str, side: str) -> list[str]:
    """The command that runs one side of one plan in a process of its own."""
    command = ["-m", "archdsl", "bench", name, f"--only={side}"]
    for option in PLAIN_OPTIONS:
        if (value := getattr(given, option)) is not None:
            command.append(f"--{option}={value}")
    for option in REPEATED_OPTIONS:
        command += [f"--{option}={value}" for value in getattr(given, option) or ()]
    return [*command, *(f"--{switch}" for switch in ("train", "compiled") if getattr(given, switch))]


def calibrate(given: Namespace) -> int:
    """Cases of networks timed on this machine, and written where `count --latency` and `auto` look for them."""
    from archdsl.backend.devices import device_of
    from archdsl.backend.precision import autocast_to
    from archdsl.report.latency.machine import user_table_file

    g.check_exclusive(given, "calibrate", ("vs", "lower", "train", "only", "all", "compiled"))
    if given.batch > 1:
        raise SpecError("a batch in a calibration", got=f"--batch {given.batch}", want="single clips")
    plans = [plan for _, plan in named_plans(given)] if given.names else []
    out = Path(given.output or user_table_file(device_of(given.device).type))
    if not given.output:
        make_folder(out.parent)
    check_writable(out)
    rounds = {"rounds": given.runs} if given.runs else {}
    with autocast_to(given.precision, device_of(given.device), cached=False):
        text = calibrated(plans, given, rounds)
    show_status(None)
    write_text(text, str(out))
    return 0


def calibrated(plans: list[Plan], given: Namespace, rounds: dict[str, int]) -> str:
    """The table of a calibration, in the precision of autocast."""
    from archdsl.measuring import (
        CASE_COUNT,
        WHOLE_NETWORKS,
        calibration_cases,
        machine_table,
        measure_cases,
        measure_passes,
        small_plans,
        spread_cases,
    )
    from archdsl.report.latency.cases import cases_of

    pays = measure_passes(plans or small_plans(), given.device, report=show_status, **rounds)
    taken = pays["infer"]
    cases = (
        spread_cases((case for plan in plans for _, case in cases_of(plan, taken)), CASE_COUNT)
        if plans
        else calibration_cases(taken)
    )
    whole = [plan for plan in plans or map(compile, map(load, WHOLE_NETWORKS)) if plan.name in WHOLE_NETWORKS]
    times = measure_cases(cases, whole, given.device, taken, report=show_status, **rounds)
    return machine_table(cases, whole, times, given.device, pays).text()


def show_status(text: str | None) -> None:
    """How far it is, on a terminal's last line; None wipes it."""
    if not sys.stderr.isatty():
        return
    sys.stderr.write("\r\033[K" + (painted(printable(text), DIM, sys.stderr) if text else ""))
    sys.stderr.flush()
