"""Locks, which end with the process that holds them: of a folder by its trainer, of a checkpoint by who reads it.

A disk that has no locks refuses nobody.
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
from archdsl.spec.files import writing

LOCK = ".lock"
"""The file of a run's folder that its trainer locks."""
OWN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How it is opened: no link is followed, no pipe waited for."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder in which nobody else trains meanwhile. Raises SpecError where somebody does.

    The lock is the process's own: readers that it starts do not keep it beyond its end, as they would keep flock's.
    """
    with open_own(folder / LOCK) as file:
        if is_refused(fcntl.lockf, file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise SpecError(
                f"another run trains in {folder}",
                got=file.read(200).decode(errors="replace") or "a lock that another process holds",
                want="one run at a time",
                fix="another --out, or the same command when that run has ended",
            )
        with writing(folder / LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


def open_own(path: Path) -> BinaryIO:
    """A file to be locked, made where there is none. Raises SpecError where that cannot be."""
    with writing(path):
        return cast(BinaryIO, open(os.open(path, OWN, 0o666), "r+b", buffering=0))


@contextmanager
def shared(path: Path) -> Iterator[bool]:
    """Whether a file is there; if so nobody has it alone meanwhile."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        is_refused(fcntl.flock, file, fcntl.LOCK_SH)
        yield still_at(path, file.fileno())


@contextmanager
def alone(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether nobody shares a file, if so nobody does meanwhile. A file that is not there is nobody's."""
    try:
        file = path.open("r+b")
    except OSError:
        yield True
        return
    with file:
        yield not is_refused(fcntl.flock, file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def is_refused(lock: Callable[[BinaryIO, int], object], file: BinaryIO, how: int) -> bool:
    """Whether another process has a lock that this one asks for."""
    try:
        lock(file, how)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


def still_at(path: Path, handle: int) -> bool:
    """Whether an open file has its name still: it may have been removed while its lock was waited for."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False
