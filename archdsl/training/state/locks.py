"""File locks, released when their process exits: of a folder by its trainer, of a checkpoint by its readers.

On a disk without locks nothing is refused.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from archdsl.errors import SpecError
from archdsl.spec.files import naming_write_errors

LOCK_FILE = ".lock"
"""File in a run's folder that the trainer locks."""
OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Open flags: follow no link, wait for no pipe."""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a folder for training. Raises SpecError where another run has it.

    lockf, not flock: worker processes must not hold the lock after the trainer exits.
    """
    with open_lock_file(folder / LOCK_FILE) as file:
        if is_refused(fcntl.lockf, file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise SpecError(
                f"another run is training in {folder}",
                got=file.read(200).decode(errors="replace") or "a lock held by another process",
                want="one run at a time",
                fix="choose another --out, or wait until that run has ended",
            )
        with naming_write_errors(folder / LOCK_FILE):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


def open_lock_file(path: Path) -> BinaryIO:
    """Open or create the lock file. Raises SpecError where that fails."""
    with naming_write_errors(path):
        return cast(BinaryIO, open(os.open(path, OPEN_FLAGS, 0o666), "r+b", buffering=0))


@contextmanager
def shared_lock(path: Path) -> Iterator[bool]:
    """Whether the file exists; if so it is locked against exclusive_lock."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        is_refused(fcntl.flock, file, fcntl.LOCK_SH)
        yield is_same_file(path, file.fileno())


@contextmanager
def exclusive_lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether nobody holds a shared lock; if so nobody gets one meanwhile. True for a missing file."""
    try:
        file = path.open("r+b")
    except OSError:
        yield True
        return
    with file:
        yield not is_refused(fcntl.flock, file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def is_refused(lock: Callable[[BinaryIO, int], object], file: BinaryIO, how: int) -> bool:
    """Whether another process holds the lock."""
    try:
        lock(file, how)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


def is_same_file(path: Path, handle: int) -> bool:
    """Whether an open file still has its name: it may be removed while its lock is waited for."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False
