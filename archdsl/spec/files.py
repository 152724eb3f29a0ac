"""The one door for files: regular files are read, without waiting and within a bound; no link is followed on writing.

Names that are not UTF-8 come from the system with surrogates in them (PEP 383): JSON keeps them as escapes, so that who
reads it has the file's name again; text for people shows the bytes (`errors.printable`).
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from archdsl.errors import SpecError

WITHOUT_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""A FIFO that takes a regular file's place between stat and open does not block; what was opened is looked at again."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
        raise SpecError(f"cannot read {path!r}", got="a name that this system cannot encode") from None


def check_regular(path: str | Path, found: os.stat_result) -> None:
    """Raise SpecError for what is not a regular file: reading it could wait forever, or never end."""
    if not stat.S_ISREG(found.st_mode):
        got = KINDS.get(stat.S_IFMT(found.st_mode), "not a regular file")
        raise SpecError(f"cannot read {path}", got=got, want="a regular file")


def read_bytes(path: str | Path, most: int) -> bytes:
    """All of a regular file. Raises SpecError where it cannot be read, or has more than `most` bytes."""
    with open_regular(path) as file:
        try:
            large = os.fstat(file.fileno()).st_size > most
            data = b"" if large else file.read(most + 1) or b""
        except OSError as error:
            raise SpecError(f"cannot read {path}", got=error.strerror or str(error)) from None
    if large or len(data) > most:
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


def make_folder(path: Path) -> None:
    """Make a folder and those above it. Raises SpecError where that cannot be."""
    if "\0" in str(path):
        raise SpecError(f"cannot write {str(path)!r}", got="a name with a null character", want="the name of a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def temporary_name(path: Path) -> Path:
    """A name in the same folder that nobody can foresee, so that nobody can put a link there."""
    return path.with_name(f".{token_hex(8)}.part")


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file at once: who reads it sees the old one or the new one. A link of that name is replaced."""
    part = temporary_name(path)
    try:
        write_flushed(part, data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    flush_folder(path.parent)


def write_flushed(path: Path, data: bytes | str) -> None:
    """Write a file that is not there yet, and wait until it is on the disk."""
    with open_new(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


def open_new(path: Path) -> BinaryIO:
    """A file that is not there yet, open for writing."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb")


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, which is made where there is none. Raises OSError for a link, and a pipe nobody reads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags, 0o666), "ab") as file:
        file.write(f"{line}\n".encode())


def write_out(path: str | Path, data: bytes | str) -> None:
    """Write a file that a person named, in place; pipes and devices take it too. Raises SpecError, also for a link."""
    try:
        with open_out(path, os.O_TRUNC) as file:
            file.write(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise cannot_write(path, error) from None


def check_writable(path: str | Path) -> None:
    """Raise SpecError where `write_out` could not write, before what is to be in the file has taken its time."""
    if not is_new(path) and not is_regular(path) and not Path(path).is_dir():
        return  # opening a pipe and closing it would end it for who reads it
    new = is_new(path)
    try:
        open_out(path, 0).close()
    except OSError as error:
        raise cannot_write(path, error) from None
    if new:
        Path(path).unlink()


def open_out(path: str | Path, flags: int) -> BinaryIO:
    """A file by a name that is no link to another, unless that is a pipe or a device, such as /dev/stdout."""
    if Path(path).is_symlink() and (is_regular(path) or is_new(path)):
        where = Path(path).resolve()
        raise SpecError(f"cannot write {path}", got=f"a link to {where}", want="a file", fix=f"-o {where}")
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666), "wb")


def is_new(path: str | Path) -> bool:
    """Whether nothing is there, not even behind a link."""
    return not Path(path).exists()


def cannot_write(path: str | Path, error: OSError) -> SpecError:
    """The error of a file that cannot be written."""
    fix = "make room" if error.errno in FULL else None
    return SpecError(f"cannot write {path}", got=error.strerror or str(error), fix=fix)


@contextmanager
def naming_write_errors(path: str | Path) -> Iterator[None]:
    """What cannot be written within is a SpecError that names the file, or else a path."""
    try:
        yield
    except OSError as error:
        raise cannot_write(error.filename or path, error) from None


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_text(data: Any, indent: int | None = None) -> str:
    """Data as JSON that every reader takes: null for what is no number, escapes for what UTF-8 cannot hold."""
    try:
        text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(finite(data), indent=indent, ensure_ascii=False, allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def finite(data: Any) -> Any:
    """Data with None in place of NaN and infinities."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and data - data != 0 else data


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
