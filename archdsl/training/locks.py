"""Locks, which end with the process that holds them: of a folder by its trainer, of a checkpoint by who reads it."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archdsl.errors import SpecError

LOCK = ".lock"
"""The file of a run's folder that its trainer locks."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder in which nobody else trains meanwhile. Raises SpecError where somebody does.

    The lock is the process's own: readers that it starts do not keep it beyond its end, as they would keep flock's.
    """
    try:
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise SpecError(f"cannot write {folder}", got=error.strerror or str(error)) from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise SpecError(
                f"another run trains in {folder}",
                got=file.read(200) or "a lock that another process holds",
                want="one run at a time",
                fix="another --out, or the same command when that run has ended",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


@contextmanager
def shared(path: Path) -> Iterator[bool]:
    """Whether a file is there; if so nobody has it alone meanwhile."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield still_at(path, file.fileno())


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody shares a file, if so nobody does meanwhile. A file that is not there is nobody's."""
    try:
        file = path.open("r+b")
    except OSError:
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def still_at(path: Path, handle: int) -> bool:
    """Whether an open file has its name still: it may have been removed while its lock was waited for."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False
