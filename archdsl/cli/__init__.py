"""The command: `archdsl`, and `python -m archdsl`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from archdsl.cli.arguments import parser
from archdsl.cli.saying import say_error, say_os_error
from archdsl.errors import SpecError

WRONG = 2
"""Exit code for what a person wrote wrongly."""
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 and the signal's number, as shells have it."""
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""What torch reads before its first map: with "1" maps of 2 MiB and more lie in large pages, so few are faulted in."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Nothing a person wrote ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its table
    os.environ.setdefault(LARGE_PAGES, "1")
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SpecError as error:
        say_error(error)
        return WRONG
    except BrokenPipeError:
        # Who read us has gone. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        say_os_error(error)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
