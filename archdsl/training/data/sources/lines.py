"""A line of a list of videos, whatever its format; every line that is not understood is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from archdsl.errors import Fault, SpecError, excerpt
from archdsl.training.data.sources.shard_member import ShardMember

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv", ".ts", ".ogv", ".gif"),
    *(".3gp", ".3g2", ".mts", ".m2ts", ".m2t", ".trp", ".vob", ".mpe", ".m1v", ".m2v", ".mpv", ".mod", ".tod"),
    *(".asf", ".ogg", ".ogm", ".f4v", ".mp4v", ".qt", ".mj2", ".ismv", ".mk3d", ".divx", ".xvid", ".ivf"),
    *(
        ".264",
        ".h264",
        ".h26l",
        ".avc",
        ".265",
        ".h265",
        ".hevc",
        ".mxf",
        ".dv",
        ".dif",
        ".nut",
        ".y4m",
        ".rm",
        ".rmvb",
    ),
)
"""Endings of files that hold pictures in a container that `decoder.CONTAINERS` has."""
LINES_SHOWN = 10
"""Faults of a list that an error shows."""
Row = TypeVar("Row")
Parsed = TypeVar("Parsed")


class ListLine(NamedTuple):
    """One video as a list has it: where, what, and the part of it that counts, in seconds."""

    video: str
    labels: tuple[tuple[str, float, float], ...]
    """(class or its number, from, to)"""
    where: str
    """file:line"""
    start: float = 0.0
    end: float = float("inf")
    split: str | None = None
    centre: float | None = None
    other_name: str | None = None
    """An alternative name of the file."""
    part: ShardMember | None = None
    """Where the video is, of one in a shard."""
    frames: tuple[int, int] | None = None
    """Of a folder of pictures: the first that counts, and how many do."""


@dataclass
class Listing:
    """The contents of a list."""

    format: str
    lines: list[ListLine]
    multi_label: bool = False
    classes: tuple[str, ...] = field(default=())
    """Names in the order of labels where the files say so."""
    ambiguous: bool = False
    """Whether three numbers behind each folder are an offset, frames and a label, or frames and two labels."""


def parse_each(records: Iterable[tuple[str, Row]], read: Callable[[str, Row], Parsed]) -> list[Parsed]:
    """Parse every (file:line, record). Raises SpecError with all that fail."""
    made: list[Parsed] = []
    faults: list[Fault] = []
    count, last = 0, ""
    for where, record in records:
        try:
            made.append(read(where, record))
        except SpecError as error:
            count, last = count + len(error.faults), where
            faults += error.placed(None, where).faults if len(faults) < LINES_SHOWN else ()
    if count > len(faults[:LINES_SHOWN]):
        faults = [*faults[:LINES_SHOWN], Fault(what=f"and {count - LINES_SHOWN} more", written=last)]
    if faults:
        raise SpecError(faults)
    return made


def whole_video_labels(*names: str) -> tuple[tuple[str, float, float], ...]:
    """Labels that hold for the whole video; empty names are dropped."""
    return tuple((name, 0.0, float("inf")) for name in names if name)


def unclear_line(got: str, want: str, fix: str | None = None) -> SpecError:
    """The error of a line that is ambiguous or cannot be parsed."""
    return SpecError("cannot parse line", got=excerpt(got), want=want, fix=fix)
