"""What the header of an MP4 or QuickTime file claims, before ffmpeg makes room for it: 71 bytes a sample (8.0).

ISO/IEC 14496-12: boxes of size, type and contents, some of them within others. A table of samples that are all of one
size has one row, so that a file of 3 kB may claim four thousand million.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader import limits
from archdsl.training.data.reader.limits import check_time

HOLDING_BOXES = (
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex", b"moof", b"traf"),
    *(b"free", b"hoov"),  # where ffmpeg looks for a header that was cut out
)
FRAGMENTS_MORE = 4
"""How many times as many samples as frames of a video the fragments of a file may claim, sound among them."""
MOST_DEPTH = 12
SOUND, VIDEO = ((int.from_bytes(name, "big"),) for name in (b"soun", b"vide"))


class Mp4Box(NamedTuple):
    """One box: where its contents lie."""

    kind: bytes
    start: int
    end: int


def check_claims(source: BinaryIO, name: str, begun: float) -> None:
    """Raise Unreadable where tables claim more samples than a file may have. The source is at its start again."""
    end = source.seek(0, 2)
    sound, one_each, in_fragments = False, False, 0
    for box in boxes_within(source, 0, end):
        check_time(name, begun)
        match box.kind:
            case b"trak":
                sound = one_each = False
            case b"hdlr":
                handler = numbers(source, box, 12)[2:]
                sound = handler == SOUND if handler in (SOUND, VIDEO) else sound
            case b"stts":
                # ffmpeg takes uncompressed sound, whose samples last one unit each, by the chunk
                one_each = numbers(source, box, 16)[1::2] == (1, 1)
            case b"stsz" | b"stz2":
                count = (*numbers(source, box, 12), 0, 0, 0)[2]
                if count > limits.MAX_FRAMES and not (sound and one_each):
                    raise Unreadable(name, f"more than {limits.MAX_FRAMES} frames")
            case b"trun":
                in_fragments += (*numbers(source, box, 8), 0, 0)[1]
                if in_fragments > FRAGMENTS_MORE * limits.MAX_FRAMES:
                    raise Unreadable(name, f"more than {limits.MAX_FRAMES} frames")
            case b"cmov":
                raise Unreadable(name, "a compressed header, which could claim any number of frames")
    source.seek(0)


def boxes_within(source: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[Mp4Box]:
    """All boxes between two places, those within others behind them."""
    while start + 8 <= end and depth < MOST_DEPTH:
        source.seek(start)
        size, kind = struct.unpack(">I4s", source.read(8))
        inner = start + 8
        if size == 1:
            size, inner = int.from_bytes(source.read(8), "big"), start + 16
        size = size or end - start
        if size < inner - start:
            return
        box = Mp4Box(kind, inner, min(start + size, end))
        yield box
        if kind in HOLDING_BOXES:
            yield from boxes_within(source, box.start, box.end, depth + 1)
        start += size


def numbers(source: BinaryIO, box: Mp4Box, length: int) -> tuple[int, ...]:
    """The numbers of 32 bits in the first bytes of a box."""
    source.seek(box.start)
    data = source.read(min(length, box.end - box.start))
    return struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])
