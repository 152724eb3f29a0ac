"""count, table, diff, admits."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib.util import find_spec
from math import prod

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import GREEN, RED, YELLOW, painted, say, say_json, say_table
from archdsl.compiler import compile
from archdsl.errors import SpecError
from archdsl.language.amounts import bytes_of
from archdsl.spec.numbers import views_of

MEMORY_OPTIONS = ("train", "infer", "precision", "optimizer", "checkpoint", "fits")
"""Options that only speak of memory."""


def count_command(given: Namespace) -> int:
    """Params and costs of every model named."""
    from archdsl import report

    if given.memory:
        return count_memory(given)
    if without_memory := [name for name in MEMORY_OPTIONS if getattr(given, name)]:
        raise SpecError(
            f"--{without_memory[0]} without --memory", got=f"--{without_memory[0]}", want="--memory beside it"
        )
    if given.latency:
        return count_latency(given)
    if given.device:
        raise SpecError("--device without --latency", got=f"--device {given.device}", want="--latency beside it")
    if given.verify:
        return count_verify(given)
    if given.claims:
        g.check_exclusive(given, "claims", ("convention", "batch", "views"))
    batch, views = given.batch or 1, prod(views_of("1" if given.views is None else given.views))
    counts = [
        report.NetworkCost(compile(g.overridden_arch(model, given)), report.reported(model), batch, views)
        for model in g.models_named(given)
    ]
    title = f"The zoo: {len(counts)} models" if given.all else ""
    made = report.claims_table(counts) if given.claims else report.count_table(counts, given.convention, title)
    say_table(made, given.format)
    return 0


def count_memory(given: Namespace) -> int:
    """Bytes of one step of every model named."""
    from archdsl import report

    g.check_exclusive(given, "memory", ("claims", "convention", "verify", "latency", "device", "views"))
    if given.infer and given.optimizer:
        raise SpecError("an optimizer in inference", got=f"--infer --optimizer {given.optimizer}", want="--train")
    budget = bytes_of(given.fits) if given.fits else None
    setup = report.Setup(
        given.batch or 1,
        not given.infer,
        given.precision or "fp32",
        given.optimizer or "sgd",
        given.checkpoint or "none",
    )
    memories = [report.Memory(compile(g.overridden_arch(model, given)), setup) for model in g.models_named(given)]
    for one in memories:
        one.check()
    say_table(report.memory_table(memories, budget), given.format)
    return 0


def count_latency(given: Namespace) -> int:
    """Predicted seconds of a forward of every model named."""
    from archdsl import report

    g.check_exclusive(given, "latency", ("claims", "convention", "verify"))
    machine = report.known_machine(given.device or "cpu")
    views = prod(views_of("1" if given.views is None else given.views))
    found = [
        report.Latency(compile(g.overridden_arch(model, given)), machine, given.batch or 1)
        for model in g.models_named(given)
    ]
    say_table(report.latency_table(found, views), given.format)
    return 0


def count_verify(given: Namespace) -> int:
    """Two other counters beside ours, for every model named. Exit code 1 where they differ."""
    g.check_exclusive(given, "verify", ("claims", "convention", "batch", "views"))
    if find_spec("torch") is None:
        raise SpecError("torch is not installed", got="--verify, which builds the network", fix="pip install torch")
    from archdsl.testing.opinions import opinions_table

    tables = [opinions_table(compile(g.overridden_arch(model, given))) for model in g.models_named(given)]
    if given.format == "json":
        say_json([{"name": made.title.partition(":")[0], "classes": list(made.records)} for made in tables])
    else:
        for made in tables:
            say_table(made, given.format)
    return 0 if all(record["agrees"] for made in tables for record in made.records) else 1


def table_command(given: Namespace) -> int:
    """The table of every model named; as JSON one object for each."""
    from archdsl import report

    plans = [compile(g.overridden_arch(model, given)) for model in g.models_named(given)]
    tables = [(plan.name, report.table_of(plan, given.level)) for plan in plans]
    if given.format == "json":
        data = [{"name": name, "rows": list(made.records)} for name, made in tables]
        say_json(data)
        return 0
    for _, made in tables:
        say_table(made, given.format)
    return 0


def diff_command(given: Namespace) -> int:
    """A and B, or A and what the options make of it."""
    from archdsl import report

    if given.b is None and not g.has_overrides(given):
        raise SpecError(
            "nothing to compare with",
            got=given.a,
            want="a second network, or a change",
            fix=f"archdsl diff {given.a} --set head.classes=174",
        )
    before = catalog.model(given.a).arch() if given.b is None else g.arch_named(given.a, given)
    found = report.diff(before, g.arch_named(given.b or given.a, given))
    if given.json:
        say_json(found.record())
        return 0
    colours = {"-": RED, "+": GREEN, "~": YELLOW}
    for line in str(found).split("\n"):
        say(painted(line, colours[line[2]], sys.stdout) if line[2:3] in colours else line)
    return 0


def admits_command(given: Namespace) -> int:
    """Frames and sizes that every model named accepts."""
    from archdsl import report

    found = [report.admits(g.overridden_arch(model, given)) for model in g.models_named(given)]
    if given.json:
        say_json([one.record() for one in found])
        return 0
    for one in found:
        say(f"{one.name}\n{one}" if len(found) > 1 else str(one))
    return 0
