"""Headers of a tar file, in one pass of bounded steps.

Python's tarfile (3.11) follows extension headers by recursion, in quadratic time.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from tarfile import BLOCKSIZE
from typing import BinaryIO

MAX_HEADER_BYTES = 1 << 20
"""Bytes of an extension header: a name, times, attributes."""
MAX_MEMBER_NAME = 1 << 12
PAX, GLOBAL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)


class BrokenTar(Exception):
    """The error in a tar, and the byte after which it is."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(why, place)
        self.why, self.place = why, place


def read_headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Members in their order, their bytes at `offset_data`. Raises Broken where the tar does not go on to its end."""
    size, place, end = os.fstat(file.fileno()).st_size, 0, 0
    extension: dict[str, str] = {}
    while header := header_at(file, place, end):
        place += BLOCKSIZE
        if header.type in (*PAX, *GLOBAL, tarfile.GNUTYPE_LONGNAME):
            extension |= read_extension(header, file, place)
            place += padded_size(header.size)
            continue
        header.offset_data = data_offset(header, file, place)
        apply_extension(header, extension, place)
        length = header.size if has_bytes(header) else 0
        if not end <= header.offset_data <= header.offset_data + header.size <= size:
            raise BrokenTar("a member beyond the end", end)
        end = header.offset_data + length
        place, extension = header.offset_data + padded_size(length), {}
        yield header


def header_at(file: BinaryIO, place: int, end: int) -> tarfile.TarInfo | None:
    """The header at a place; None at the end, behind which nothing but zeros may be. Raises Broken."""
    file.seek(place)
    block = file.read(BLOCKSIZE)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if place == 0 and (not block or block.strip(b"\0")):
            raise BrokenTar(str(error).replace("empty header", "empty file"), 0) from None
    if len(block) < BLOCKSIZE:
        raise BrokenTar("no end of archive", place)
    if block.strip(b"\0") or file.read(2 * tarfile.RECORDSIZE).strip(b"\0"):
        raise BrokenTar("no header of a member", place)
    return None


def read_extension(header: tarfile.TarInfo, file: BinaryIO, place: int) -> dict[str, str]:
    """The records of an extension header: PAX, or GNU's long name. Global ones are ignored."""
    if not 0 <= header.size <= MAX_HEADER_BYTES:
        raise BrokenTar(f"a header of {header.size} bytes", place)
    text = file.read(header.size)
    if len(text) < header.size:
        raise BrokenTar("a member beyond the end", place)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": file_name(text.partition(b"\0")[0])}
    return dict(pax_records(text, place)) if header.type in PAX else {}


def pax_records(text: bytes, place: int) -> Iterator[tuple[str, str]]:
    """PAX's records, each `length key=value` and a newline."""
    at = 0
    while text[at : at + 1].isdigit():
        digits = text[at : at + 12].partition(b" ")[0]
        length = int(digits) if digits.isdigit() and len(digits) < 12 else 0
        key, found, value = text[at + len(digits) + 1 : at + length - 1].partition(b"=")
        if not found or length < len(digits) + 3 or length > len(text) - at:
            raise BrokenTar("a header that cannot be read", place)
        yield file_name(key), file_name(value)
        at += length


def apply_extension(header: tarfile.TarInfo, extension: dict[str, str], place: int) -> None:
    """Put what was extension of a member into its header. Raises Broken."""
    header.name = extension.get("path", header.name)
    if len(header.name) > MAX_MEMBER_NAME:
        raise BrokenTar(f"a name of {len(header.name)} letters", place)
    if "size" in extension:
        digits = extension["size"]
        header.size = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else -1
    if any(key.startswith("GNU.sparse") for key in extension):
        header.sparse = b""


def data_offset(header: tarfile.TarInfo, file: BinaryIO, place: int) -> int:
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


def padded_size(size: int) -> int:
    """Bytes with the padding behind them."""
    return size + -size % BLOCKSIZE


def file_name(text: bytes) -> str:
    """A name as the system has it, also one that is not UTF-8."""
    return text.decode("utf-8", "surrogateescape")
