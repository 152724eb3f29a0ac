"""A decoder that hangs cannot be interrupted: a worker process exits, any other process abandons the thread."""

from __future__ import annotations

from collections.abc import Callable
from faulthandler import cancel_dump_traceback_later, dump_traceback_later
from threading import Thread, current_thread
from time import monotonic
from typing import Any, Generic, TypeVar

from torch.utils.data import get_worker_info

from archdsl.training.data.reader.limits import READ_SECONDS

HANG_SECONDS = 1.5 * READ_SECONDS
"""For one clip, or the flow of one pair of frames: longer than the decoder's own limit."""
STDERR = 2
HANG_EXIT_CODE = 1
"""faulthandler's."""
T = TypeVar("T")


class ReadThread(Thread, Generic[T]):
    """Reads in a thread, for a process that has more to do. It ends with the process, if not before."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.deadline = monotonic() + HANG_SECONDS
        self.found: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as error:  # noqa: BLE001  the waiting thread raises it
            self.error = error


def run_watched(work: Callable[[], T]) -> T:
    """What `work` returns. Raises TimeoutError where it takes longer than HANG_SECONDS; a worker process exits then."""
    if get_worker_info():
        restart_watchdog()
        try:
            return work()
        finally:
            cancel_dump_traceback_later()
    thread = ReadThread(work)
    thread.start()
    while thread.is_alive() and monotonic() < thread.deadline:
        thread.join(thread.deadline - monotonic())
    if thread.is_alive():
        raise TimeoutError(hang_reason())
    if thread.error:
        raise thread.error
    found: Any = thread.found
    return found


def restart_watchdog() -> None:
    """The time begins anew: progress was made."""
    thread = current_thread()
    if isinstance(thread, ReadThread):
        thread.deadline = monotonic() + HANG_SECONDS
    elif get_worker_info():
        dump_traceback_later(HANG_SECONDS, exit=True, file=STDERR)


def hang_reason() -> str:
    """Why a video that was given up is unreadable."""
    return f"reading it takes longer than {HANG_SECONDS:g} s"
