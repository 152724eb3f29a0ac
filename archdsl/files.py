"""The one door for files that a person names: regular files only, opened without waiting, read within a bound."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from archdsl.errors import SpecError

WITHOUT_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""A FIFO that takes a regular file's place between stat and open does not block; what was opened is looked at again."""
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, open for reading. Raises SpecError for a folder, a pipe, a device, a name that cannot be."""
    if "\0" in str(path):
        raise SpecError(f"cannot read {str(path)!r}", got="a name with a null character", want="the name of a file")
    try:
        check_regular(path, os.stat(path))
        handle = os.open(path, WITHOUT_WAITING)
        try:
            check_regular(path, os.fstat(handle))
            return open(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
    except FileNotFoundError:
        raise SpecError(f"cannot read {path}", got="no such file") from None
    except OSError as error:
        raise SpecError(f"cannot read {path}", got=error.strerror or str(error)) from None
    except UnicodeEncodeError:
        raise SpecError(f"cannot read {path!r}", got="a name that this system cannot spell") from None


def check_regular(path: str | Path, found: os.stat_result) -> None:
    """Raise SpecError for what is no regular file: reading it could wait forever, or never end."""
    if not stat.S_ISREG(found.st_mode):
        got = KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise SpecError(f"cannot read {path}", got=got, want="a regular file")


def read_bytes(path: str | Path, most: int) -> bytes:
    """All of a regular file. Raises SpecError where it cannot be read, or has more than `most` bytes."""
    with open_regular(path) as file:
        try:
            data = file.read(most + 1) or b""
        except OSError as error:
            raise SpecError(f"cannot read {path}", got=error.strerror or str(error)) from None
    if len(data) > most:
        raise SpecError(f"cannot read {path}", got=f"more than {most} bytes", want=f"at most {most} bytes")
    return data


def read_text(path: str | Path, most: int, encoding: str = "utf-8") -> str:
    """All of a regular file as text, its lines ended by newlines. Raises SpecError where it is none."""
    try:
        text = read_bytes(path, most).decode(encoding)
    except UnicodeDecodeError:
        raise SpecError("a file that is not text", written=Path(path).name, want="text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def regular(path: str | Path) -> Path:
    """The resolved path of a regular file that can be read. Raises SpecError as `open_regular` does."""
    open_regular(path).close()
    return Path(path).resolve()


def is_regular(path: str | Path) -> bool:
    """Whether there is a regular file of that name; False for names that no system takes."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
