"""test."""

from __future__ import annotations

import sys
from argparse import Namespace

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import GREEN, RED, painted, say, say_json, write_text
from archdsl.errors import printable
from archdsl.errors.extras import import_with_extras
from archdsl.report.number_format import plural

EXIT_PROPERTY_FAILS = 1


def test_command(given: Namespace) -> int:
    """Every property of every network named and of its neighbours. Exit code 1 where one does not hold."""
    network = import_with_extras("archdsl.testing.network")
    records, failed = [], False
    for name in given.names:
        arch = g.overridden_arch(catalog.model(name), given)
        _, names = network.asked(arch, given.only)
        command = f"archdsl test {name} --examples {given.examples} --seed {given.seed}"
        failure = network.property_failure(
            arch, examples=given.examples, seed=given.seed, only=given.only, command=command, progress=say_progress
        )
        failed = failed or failure is not None
        records.append(outcome_record(name, given, names, failure))
        if not given.json:
            say_outcome(name, given, names, failure)
    if given.json:
        say_json(records)
    return EXIT_PROPERTY_FAILS if failed else 0


def say_progress(i: int, examples: int) -> None:
    """Which example runs, where somebody sees it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{i + 1} of {examples}\033[K" if i + 1 < examples else "\r\033[K")
        sys.stderr.flush()


def say_outcome(name: str, given: Namespace, names: list[str], failure: object) -> None:
    """One line, or the failure."""
    if failure is None:
        count = plural(given.examples, "example")
        say(f"{painted('ok', GREEN, sys.stdout)}  {printable(name)}  {', '.join(names)}: hold in {count}")
        return
    say(f"{painted('failed', RED, sys.stdout)}  {printable(name)}")
    write_text(printable(str(failure)), None)


def outcome_record(name: str, given: Namespace, names: list[str], failure: object) -> dict[str, object]:
    """An outcome for JSON."""
    if failure is None:
        return {"name": name, "ok": True, "properties": names, "examples": given.examples, "seed": given.seed}
    told = {key: getattr(failure, key) for key in ("property", "what", "example", "command")}
    return {"name": name, "ok": False, "seed": given.seed, **told, "text": str(failure)}
