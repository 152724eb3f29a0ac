"""The headers of a tar, read in one pass of bounded steps.

Python's tarfile (3.11) follows headers that tell of the next by recursion, and takes the square of their length.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from tarfile import BLOCKSIZE
from typing import BinaryIO

LONGEST = 1 << 20
"""Bytes of a header that tells of the next: a name, times, attributes."""
LONGEST_NAME = 1 << 12
PAX, GLOBAL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)


class Broken(Exception):
    """What is wrong with a tar, and behind which byte."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(why, place)
        self.why, self.place = why, place


def headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Members in their order, their bytes at `offset_data`. Raises Broken where the tar does not go on to its end."""
    size, place, end = os.fstat(file.fileno()).st_size, 0, 0
    told: dict[str, str] = {}
    while header := header_at(file, place, end):
        place += BLOCKSIZE
        if header.type in (*PAX, *GLOBAL, tarfile.GNUTYPE_LONGNAME):
            told |= told_by(header, file, place)
            place += blocks(header.size)
            continue
        header.offset_data = behind_sparse(header, file, place)
        apply(header, told, place)
        length = header.size if has_bytes(header) else 0
        if not end <= header.offset_data <= header.offset_data + header.size <= size:
            raise Broken("a member beyond the end", end)
        end = header.offset_data + length
        place, told = header.offset_data + blocks(length), {}
        yield header


def header_at(file: BinaryIO, place: int, end: int) -> tarfile.TarInfo | None:
    """The header at a place; None at the end, behind which nothing but zeros may be. Raises Broken."""
    file.seek(place)
    block = file.read(BLOCKSIZE)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if place == 0 and (not block or block.strip(b"\0")):
            raise Broken(str(error).replace("empty header", "empty file"), 0) from None
    if len(block) < BLOCKSIZE:
        raise Broken("no end of archive", place)
    if block.strip(b"\0") or file.read(2 * tarfile.RECORDSIZE).strip(b"\0"):
        raise Broken("no header of a member", place)
    return None


def told_by(header: tarfile.TarInfo, file: BinaryIO, place: int) -> dict[str, str]:
    """What a header tells of the next: PAX's records, GNU's long name. Those of all members tell nothing here."""
    if not 0 <= header.size <= LONGEST:
        raise Broken(f"a header of {header.size} bytes", place)
    text = file.read(header.size)
    if len(text) < header.size:
        raise Broken("a member beyond the end", place)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": as_name(text.partition(b"\0")[0])}
    return dict(records(text, place)) if header.type in PAX else {}


def records(text: bytes, place: int) -> Iterator[tuple[str, str]]:
    """PAX's records, each `length key=value` and a newline."""
    at = 0
    while text[at : at + 1].isdigit():
        digits = text[at : at + 12].partition(b" ")[0]
        length = int(digits) if digits.isdigit() and len(digits) < 12 else 0
        key, found, value = text[at + len(digits) + 1 : at + length - 1].partition(b"=")
        if not found or length < len(digits) + 3 or length > len(text) - at:
            raise Broken("a header that cannot be read", place)
        yield as_name(key), as_name(value)
        at += length


def apply(header: tarfile.TarInfo, told: dict[str, str], place: int) -> None:
    """Put what was told of a member into its header. Raises Broken."""
    header.name = told.get("path", header.name)
    if len(header.name) > LONGEST_NAME:
        raise Broken(f"a name of {len(header.name)} letters", place)
    if "size" in told:
        digits = told["size"]
        header.size = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else -1
    if any(key.startswith("GNU.sparse") for key in told):
        header.sparse = b""


def behind_sparse(header: tarfile.TarInfo, file: BinaryIO, place: int) -> int:
    """Where a member's bytes begin: behind the blocks that say where GNU's sparse file has holes."""
    if header.type != tarfile.GNUTYPE_SPARSE:
        return place
    header.sparse = b""
    file.seek(place - BLOCKSIZE)
    more, at = file.read(BLOCKSIZE)[482:483], place
    while more.strip(b"\0"):
        more = file.read(BLOCKSIZE)[504:505]
        at += BLOCKSIZE
    return at


def has_bytes(header: tarfile.TarInfo) -> bool:
    """Whether bytes lie behind a header: a link or a folder has none, whatever size it states."""
    return header.isreg() or header.type not in tarfile.SUPPORTED_TYPES


def blocks(size: int) -> int:
    """Bytes with the padding behind them."""
    return size + -size % BLOCKSIZE


def as_name(text: bytes) -> str:
    """A name as the system has it, also one that is not UTF-8."""
    return text.decode("utf-8", "surrogateescape")
