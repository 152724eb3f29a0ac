"""What the command says: errors to stderr, tables and text to stdout, files where -o points."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any, TextIO

from archdsl.errors import Fault, SpecError, printable
from archdsl.spec.files import json_text, write_out

if TYPE_CHECKING:
    from archdsl.report.table.sheet import Table

RED, YELLOW, GREEN, BOLD, DIM, PLAIN = "\033[1;31m", "\033[1;33m", "\033[32m", "\033[1m", "\033[2m", "\033[0m"


def uses_colour(stream: TextIO) -> bool:
    """Whether to use colours: in a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour, where the stream shows colours."""
    return f"{colour}{text}{PLAIN}" if uses_colour(stream) else text


def say_fault(fault: Fault, stream: TextIO, colour: str = RED) -> None:
    """One fault: what is wrong in colour, then its rows."""
    what, *rows = printable(str(fault)).split("\n")
    stream.write("\n".join([painted(what, colour, stream), *rows, ""]))


def say_error(error: SpecError) -> None:
    """Every fault, to stderr."""
    for i, fault in enumerate(error.faults):
        if i:
            sys.stderr.write("\n")
        say_fault(fault, sys.stderr)


def say_os_error(error: OSError) -> None:
    """What the system refused, to stderr."""
    where = f"{error.filename}: " if error.filename else ""
    say_fault(Fault(what=f"{where}{error.strerror or error}"), sys.stderr)


def say(text: str) -> None:
    """Text to stdout, ended by one newline."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def say_json(data: Any) -> None:
    """Data to stdout as JSON."""
    say(json_text(data, indent=2))


def say_table(table: Table, form: str) -> None:
    """A table to stdout: coloured and as wide as the terminal where there is one."""
    from archdsl.report.table.formats import in_format, to_text

    if form == "text" and uses_colour(sys.stdout):
        say(to_text(table, colour=True, width=os.get_terminal_size(sys.stdout.fileno()).columns or None))
    else:
        say(in_format(table, form))


def check_folder_named(given: Namespace, what: str) -> None:
    """Raise SpecError where files have no folder to be written to."""
    if not given.output:
        fix = f"archdsl {given.command} {given.name} ... -o {what}"
        raise SpecError(f"{what} need a folder", got="no -o", want="-o FOLDER", fix=fix)


def write_text(text: str, out: str | None) -> None:
    """Text to a file, or to stdout. Raises SpecError where the file cannot be written."""
    if out is None or out == "-":
        say(text)
        return
    write_out(out, text)
    sys.stderr.write(f"wrote {printable(out)}\n")
