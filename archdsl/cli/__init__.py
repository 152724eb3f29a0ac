"""The command: `archdsl`, and `python -m archdsl`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from signal import SIGINT, signal
from threading import current_thread, main_thread
from types import FrameType

EXIT_WRONG_SPEC = 2
"""Exit code for what a person wrote wrongly."""
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""128 and the signal's number, as shells have it."""
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""What torch reads before its first map: with "1" maps of 2 MiB and more lie in large pages, so few are faulted in."""

RUN_NETWORKS = ("train", "evaluate", "predict", "features")
"""Commands whose time is a network's."""
MOST_MAPPED, TRIM_ABOVE = -4, -1
"""glibc's M_MMAP_MAX and M_TRIM_THRESHOLD."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Nothing a person wrote ends in a traceback, and no Ctrl-C does."""
    alone = current_thread() is main_thread()  # elsewhere nobody may set what a signal does
    before = signal(SIGINT, on_interrupt) if alone else None
    try:
        return run_command(argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        if alone:
            signal(SIGINT, before)


def on_interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C: KeyboardInterrupt, or the end at once within an import, where Python may ignore what is raised."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(EXIT_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def run_command(argv: Sequence[str] | None) -> int:
    """One command. Everything is imported here, where an interrupt is caught."""
    from archdsl.cli.arguments.parser import parser
    from archdsl.cli.console import say_error, say_os_error
    from archdsl.errors import SpecError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its table
    os.environ.setdefault(LARGE_PAGES, "1")
    try:
        arguments = parser().parse_args(argv)
        if arguments.command in RUN_NETWORKS:
            keep_freed_memory()
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SpecError as error:
        say_error(error)
        return EXIT_WRONG_SPEC
    except BrokenPipeError:
        # Who read us has gone. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        say_os_error(error)
        return EXIT_WRONG_SPEC
    return code


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, unless a person has set it: pages given back are faulted in again at each map."""
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    from ctypes import CDLL  # a millisecond that other commands need not wait

    set_allocator = getattr(CDLL(None), "mallopt", None)  # musl has none
    if set_allocator:
        set_allocator(MOST_MAPPED, 0)
        set_allocator(TRIM_ABOVE, -1)
