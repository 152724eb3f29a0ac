"""A line of a list of videos, whatever its format; every line that is not understood is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from archdsl.errors import Fault, SpecError
from archdsl.spec.base import cut
from archdsl.training.data.sources.shard_member import Part

SUFFIXES = (
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
"""Endings of files that hold pictures in a container that `decoding.FORMATS` has."""
SHOWN = 10
"""Faults of a list that are told."""
Record = TypeVar("Record")
Made = TypeVar("Made")


class Line(NamedTuple):
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
    other: str | None = None
    """What the file may be called too."""
    part: Part | None = None
    """Where the video is, of one in a shard."""
    frames: tuple[int, int] | None = None
    """Of a folder of pictures: the first that counts, and how many do."""


@dataclass
class Listing:
    """What a file says."""

    format: str
    lines: list[Line]
    several: bool = False
    classes: tuple[str, ...] = field(default=())
    """Names in the order of labels where the files say so."""
    unsure: bool = False
    """Whether three numbers behind each folder are an offset, frames and a label, or frames and two labels."""


def each(records: Iterable[tuple[str, Record]], read: Callable[[str, Record], Made]) -> list[Made]:
    """What is made of every (file:line, record). Raises SpecError that names those of which nothing can be."""
    made: list[Made] = []
    faults: list[Fault] = []
    count, last = 0, ""
    for where, record in records:
        try:
            made.append(read(where, record))
        except SpecError as error:
            count, last = count + len(error.faults), where
            faults += error.placed(None, where).faults if len(faults) < SHOWN else ()
    if count > len(faults[:SHOWN]):
        faults = [*faults[:SHOWN], Fault(what=f"and {count - SHOWN} more", written=last)]
    if faults:
        raise SpecError(faults)
    return made


def labelled(*names: str) -> tuple[tuple[str, float, float], ...]:
    """Labels that hold throughout; none where there is no name."""
    return tuple((name, 0.0, float("inf")) for name in names if name)


def misread(got: str, want: str, fix: str | None = None) -> SpecError:
    """The error of a line that could mean several things, or none."""
    return SpecError("a line that is not understood", got=cut(got), want=want, fix=fix)
