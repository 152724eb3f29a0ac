"""read."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from archdsl.cli.console import say, say_json, say_table
from archdsl.errors import SpecError, printable
from archdsl.errors.extras import import_with_extras
from archdsl.spec.files import check_writable

SPEC_SUFFIXES = (".yaml", ".yml")


def read_command(given: Namespace) -> int:
    """Counts, tables and drawings of a torch module; beside a network of ours what differs. Exit code 1 if anything."""
    weights = str(given.output or "").endswith(".safetensors")
    if weights and not given.vs:
        want = "--vs NAME: the network whose addresses are written"
        raise SpecError("weights under which addresses?", got=f"-o {given.output}", want=want)
    spec = Path(given.output or "").suffix in SPEC_SUFFIXES
    if given.output:
        check_writable(given.output)
    room = import_with_extras("archdsl.backend.reader")
    reading = room.reading_of_file(given.module, given.clip)
    if spec:
        return write_spec(reading, given)
    found = reading.compare(given.vs) if given.vs else None
    if given.json:
        say_json(reading.record() | ({"beside": found.record()} if found else {}))
    else:
        say_reports(reading, given)
        if found:
            say(printable(str(found)))
    if weights:
        room.write_carried(found, given.output)
    elif given.output:
        import_with_extras("archdsl.report").write_drawing(reading.plan, given.output)
    return 1 if found and found.matching else 0


def write_spec(reading: Any, given: Namespace) -> int:
    """The module as a spec, beside the module. Exit code 1 where they differ."""
    made = import_with_extras("archdsl.backend.migration").migration_of(reading, given.vs)
    made.write(given.output)
    if given.json:
        say_json(reading.record() | {"spec": made.record()})
    else:
        say_reports(reading, given)
        say(printable(str(made)))
    return 0 if made.proven else 1


def say_reports(reading: Any, given: Namespace) -> None:
    """What it is, and the reports that were asked for."""
    from archdsl import report
    from archdsl.report.table.stages import table_of

    say(printable(str(reading)))
    plan = reading.plan
    tables = [table_of(plan, given.table)] if given.table else []
    tables += [report.span_table(plan)] if given.span else []
    if given.memory:
        tables.append(report.memory_table([report.Memory(plan, report.Setup(1, False, "fp32", "sgd", "none"))]))
    if given.latency:
        tables.append(report.latency_table([report.Latency(plan, report.known_machine("cpu"), 1)]))
    for one in tables:
        say_table(one, "text")
