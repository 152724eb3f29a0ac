"""A decoder that hangs cannot be asked to stop: a process that only reads ends itself, another leaves its thread."""

from __future__ import annotations

from collections.abc import Callable
from faulthandler import cancel_dump_traceback_later, dump_traceback_later
from threading import Thread, current_thread
from time import monotonic
from typing import Any, Generic, TypeVar

from torch.utils.data import get_worker_info

from archdsl.training.data.reader.decoder import PATIENCE

HANGS = 1.5 * PATIENCE
"""Seconds for one clip, or for the flow of one pair of frames: more than the decoder takes, which watches too."""
STDERR = 2
GAVE_UP = 1
"""Its exit code: faulthandler's."""
T = TypeVar("T")


class Reading(Thread, Generic[T]):
    """A thread that reads, for a process that has more to do. It ends with the process, if not before."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.until = monotonic() + HANGS
        self.found: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as error:  # noqa: BLE001  the one who waits raises it
            self.error = error


def watched(work: Callable[[], T]) -> T:
    """What `work` gives. Raises TimeoutError where it takes longer than HANGS; a process that only reads ends then."""
    if get_worker_info():
        alive()
        try:
            return work()
        finally:
            cancel_dump_traceback_later()
    reading = Reading(work)
    reading.start()
    while reading.is_alive() and monotonic() < reading.until:
        reading.join(reading.until - monotonic())
    if reading.is_alive():
        raise TimeoutError(too_long())
    if reading.error:
        raise reading.error
    found: Any = reading.found
    return found


def alive() -> None:
    """Begin to wait anew."""
    thread = current_thread()
    if isinstance(thread, Reading):
        thread.until = monotonic() + HANGS
    elif get_worker_info():
        dump_traceback_later(HANGS, exit=True, file=STDERR)


def too_long() -> str:
    """Why a video is not read that was given up."""
    return f"reading it takes longer than {HANGS:g} s"
