"""Lists of labelled videos, in the formats in which datasets are published. Each is recognised by what it holds."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.training.data.parts import Part

LARGEST = 1 << 28
"""Bytes of a list; Kinetics-700's is 40 MB."""
WIDEST = 1 << 13
"""Letters of a line without columns."""
LONGEST = 20
"""Digits of a class's number."""
SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv", ".ts", ".ogv", ".gif")


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


@dataclass
class Listing:
    """What a file says."""

    format: str
    lines: list[Line]
    several: bool = False
    classes: tuple[str, ...] = field(default=())
    """Names in the order of labels where the files say so."""


def listing_of(path: Path) -> Listing:
    """The videos a file names. Raises SpecError for a file of no known format, and for a line that breaks it."""
    text = text_of(path)
    if path.suffix == ".json":
        return of_json(path, text)
    lines = [(i + 1, line.strip()) for i, line in enumerate(text.split("\n")) if line.strip()]
    if not lines:
        raise SpecError("a list without videos", written=path.name)
    head = [cell.strip(' "').lower() for cell in lines[0][1][:WIDEST].split(",")]
    for columns, read in TABLES:
        if set(columns) <= set(head):
            return read(path, text)
    return of_words(path, lines)


def text_of(path: Path) -> str:
    """A list as text."""
    try:
        if path.stat().st_size > LARGEST:
            raise SpecError("a file too large for a list", written=path.name, want=f"at most {LARGEST} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(f"cannot read {path}", got=error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise SpecError("a list that is not text", written=path.name, want="UTF-8") from None


def rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(file:line, columns by lower-case name) of a CSV file with a head."""
    reader = csv.reader(StringIO(text, newline=""))
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        for cells in filter(None, reader):
            row = {name: cell.strip() for name, cell in zip(names, cells)}
            yield f"{path.name}:{reader.line_num}", dict.fromkeys(names, "") | row
    except csv.Error as error:
        raise SpecError("a line that is not CSV", written=f"{path.name}:{reader.line_num}", got=str(error)) from None


def kinetics(path: Path, text: str) -> Listing:
    """label,youtube_id,time_start,time_end,split: files are ID_000010_000020.mp4, or ID.mp4, already cut."""
    lines = []
    for where, row in rows(path, text):
        first, last = (number(row[name], where, name) for name in ("time_start", "time_end"))
        stem = f"{row['youtube_id']}_{int(first):06d}_{int(last):06d}"
        made = Line(
            stem, labelled(row.get("label", "")), where, split=row.get("split") or None, other=row["youtube_id"]
        )
        lines.append(made)
    return Listing("kinetics", lines)


def charades(path: Path, text: str) -> Listing:
    """id,...,actions,length: actions are `c092 11.90 21.20;c147 0.00 12.60`; a video may have several."""
    lines = []
    for where, row in rows(path, text):
        actions = []
        for action in filter(None, row["actions"].split(";")):
            parts = action.split()
            if len(parts) != 3:
                raise SpecError("an action that cannot be read", written=where, got=action, want="c092 11.90 21.20")
            actions.append((parts[0], number(parts[1], where, "from"), number(parts[2], where, "to")))
        lines.append(Line(row["id"], tuple(actions), where))
    classes = tuple(f"c{i:03d}" for i in range(157))
    return Listing("charades", lines, several=True, classes=classes)


def table(path: Path, text: str) -> Listing:
    """path,label with a head; also split, start and end (seconds), centre; labels with | between them are several."""
    lines, several = [], False
    for where, row in rows(path, text):
        labels = row.get("label") or row.get("labels") or ""
        several |= "labels" in row or "|" in labels
        seconds = {name: number(row[name], where, name) for name in ("start", "end", "centre") if row.get(name)}
        actions = tuple(one for name in filter(None, labels.split("|")) for one in labelled(name.strip()))
        lines.append(timed(Line(row["path"], actions, where, split=row.get("split") or None), seconds))
    return Listing("table", lines, several)


TABLES: tuple[tuple[tuple[str, ...], Callable[[Path, str], Listing]], ...] = (
    (("youtube_id", "time_start", "time_end"), kinetics),
    (("id", "actions", "length"), charades),
    (("path", "label"), table),
    (("path", "labels"), table),
)
"""Columns that a CSV file of each format has."""


def of_words(path: Path, lines: list[tuple[int, str]]) -> Listing:
    """Lists without a head, of one video a line.

    `path label` and `path,label`; UCF101's `Class/video.avi 1` and `Class/video.avi`; TSN's `folder frames label`;
    HMDB51's `video.avi 1` in a file that bears the class's name.
    """
    hmdb = re.fullmatch(r"(.+)_test_split(\d)", path.stem)
    made = []
    for i, line in lines:
        where = f"{path.name}:{i}"
        words = re.fullmatch(r"(.+?)(?:[ ,\t]+(\d+))?(?:[ ,\t]+(\d+))?", line[:WIDEST])
        if not words or len(line) > WIDEST:
            raise unknown(path, where, line)
        video, first, second = words.groups()
        if hmdb and first is not None:
            made.append(Line(video, labelled(hmdb[1]), where, split={"1": "train", "2": "test"}.get(first, "unused")))
            continue
        label = second if second is not None else first
        if path.stem.startswith(("trainlist", "testlist")) or label is None:
            label = video.rpartition("/")[0].rpartition("/")[2]  # UCF101: the folder is the class, numbers begin at 1
        if not label:
            raise unknown(path, where, line)
        made.append(Line(video, labelled(label), where))
    return Listing("words", made)


def unknown(path: Path, where: str, line: str) -> SpecError:
    """The error of a line that says no label."""
    return SpecError(
        "a line without a label",
        written=where,
        got=line if len(line) <= 80 else line[:77] + "...",
        want="path label, path,label, or a head: path,label or label,youtube_id,time_start,time_end,split",
    )


def of_json(path: Path, text: str) -> Listing:
    """Something-Something's list of videos, Kinetics' mapping of videos, or our own list of path and label."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError("not JSON", written=path.name, got=str(error)) from None
    if isinstance(data, list) and all(isinstance(one, dict) for one in data):
        return something(path, data) if data and "template" in data[0] else own(path, data)
    if isinstance(data, dict) and all(isinstance(one, dict) and "annotations" in one for one in data.values()):
        return annotated(path, data)
    raise SpecError(
        "JSON of no known format",
        written=path.name,
        want="a list of {path, label} or of {id, template}, or a mapping of videos to {subset, annotations}",
    )


def something(path: Path, data: list[dict[str, Any]]) -> Listing:
    """[{id, label, template}]: the class is the template without its brackets, files are ID.webm."""
    lines = []
    for i, one in enumerate(data):
        name = str(one.get("template", "")).replace("[", "").replace("]", "")
        lines.append(Line(str(one.get("id", "")), labelled(name), f"{path.name}, entry {i}"))
    return Listing("something", lines)


def annotated(path: Path, data: dict[str, Any]) -> Listing:
    """{id: {subset, annotations: {label, segment}}}, as Kinetics is published in JSON."""
    lines = []
    for name, one in data.items():
        where = f"{path.name}, {name}"
        if not isinstance(one["annotations"], dict):
            raise SpecError("annotations that are not one mapping", written=where, got=str(one["annotations"])[:80])
        first, last = segment(one["annotations"], where)
        stem = f"{name}_{int(first):06d}_{int(last):06d}"
        label = str(one["annotations"].get("label", ""))
        lines.append(Line(stem, labelled(label), where, split=str(one.get("subset", "")) or None, other=name))
    return Listing("kinetics", lines)


def segment(one: dict[str, Any], where: str) -> tuple[float, float]:
    """From when to when, in seconds."""
    found = one.get("segment") or [0, 0]
    if not isinstance(found, list) or len(found) != 2:
        raise SpecError("a segment that is not two numbers", written=where, got=str(found)[:80], want="[0.0, 10.0]")
    first, last = (number(str(second), where, "segment") for second in found)
    return first, last


def own(path: Path, data: list[dict[str, Any]]) -> Listing:
    """[{path, label}], or `labels: [...]` where a video may have several."""
    lines, several = [], False
    for i, one in enumerate(data):
        where = f"{path.name}, entry {i}"
        if "path" not in one or not {"label", "labels"} & set(one):
            raise SpecError("an entry without path and label", written=where, got=", ".join(one), want="path, label")
        several |= "labels" in one
        seconds = {key: number(str(one[key]), where, key) for key in ("start", "end", "centre") if key in one}
        actions = actions_in(one, where)
        lines.append(timed(Line(str(one["path"]), actions, where, split=str(one.get("split") or "") or None), seconds))
    return Listing("table", lines, several)


def actions_in(one: dict[str, Any], where: str) -> tuple[tuple[str, float, float], ...]:
    """What a mapping says as `label`, or as `labels`."""
    names = one.get("labels", [one.get("label")])
    if not isinstance(names, list):
        raise SpecError("labels that are not a list", written=where, got=str(names)[:80], want='labels: ["a", "b"]')
    if wrong := [name for name in names if isinstance(name, list | dict)]:
        raise SpecError("a label that is no name", written=where, got=str(wrong[0])[:80], want="a name, or a number")
    return tuple(action for name in names for action in labelled("" if name is None else str(name)))


def timed(line: Line, seconds: Mapping[Any, float]) -> Line:
    """A line with the times that were told."""
    start, end = seconds.get("start", 0.0), seconds.get("end", float("inf"))
    return line._replace(start=start, end=end, centre=seconds.get("centre"))


def labelled(name: str) -> tuple[tuple[str, float, float], ...]:
    """One label that holds throughout; none where there is no name."""
    return ((name, 0.0, float("inf")),) if name else ()


def number(text: str, where: str, name: str) -> float:
    """A number of seconds, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e9:
        raise SpecError(f"no number for {name}", written=where, got=text[:80], want="seconds")
    return value


def numbered(line: Line, label: str, classes: tuple[str, ...], places: dict[str, int]) -> int:
    """The number of a class that is told by its name, or by its number. Raises SpecError for one that is neither."""
    if label in places:
        return places[label]
    if label.isdecimal() and len(label) < LONGEST and int(label) < len(classes):
        return int(label)
    raise SpecError(
        "a label that no class has",
        written=line.where,
        got=label,
        want=listed(classes),
        fix=did_you_mean(label, classes),
    )
