"""Lists with named columns, CSV or JSON: the role of each column, and the labels in a cell."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.sources.lines import (
    VIDEO_SUFFIXES,
    Listing,
    ListLine,
    parse_each,
    unclear_line,
    whole_video_labels,
)
from archdsl.training.data.sources.splits import SPLIT_NAMES

ROLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "path": (
        ("path", "paths", "video_path", "videopath", "file_path", "filepath", "clip_path", "frame_dir", "folder"),
        ("file", "filename", "file_name", "video", "video_file", "video_name", "videoname", "clip", "clip_name"),
        ("name", "vid", "video_id", "videoid", "id"),
    ),
    "label": (
        (
            *("label", "labels", "class", "classes", "category", "categories", "target", "targets", "tag", "tags"),
            *("action", "actions", "activity", "gesture", "class_name", "classname", "label_name", "labelname"),
            *("class_label", "class_id", "classid", "class_idx", "class_index", "label_id", "labelid", "label_idx"),
            *("category_id", "category_name", "action_id", "action_name"),
        ),
    ),
    "split": (("split", "subset", "set", "partition"),),
    "start": (
        (
            *("start", "start_time", "time_start", "start_sec", "start_seconds", "start_s", "start_timestamp"),
            *("begin", "begin_time", "t_start", "from"),
        ),
    ),
    "end": (
        (
            *("end", "end_time", "time_end", "end_sec", "end_seconds", "end_s", "end_timestamp"),
            *("stop", "stop_time", "stop_timestamp", "t_end", "to"),
        ),
    ),
    "centre": (("centre", "center"),),
    "frames": (("frames", "num_frames", "n_frames", "nframes", "total_frames", "frame_count"),),
    "offset": (("offset", "start_frame", "start_index"),),
}
"""What a column says -> names that it may have. Of several groups the first that is met counts."""
PLURAL = ("labels", "classes", "categories", "targets", "actions", "tags")
SECONDS = ("start", "end", "centre")
UNUSED = ("unused", "none", "ignore")
END_FRAME_COLUMNS = ("end_frame", "stop_frame", "last_frame", "end_index", "stop_index")
"""Columns that say which pictures count in a way that is not read."""


class ListTable(NamedTuple):
    """A file with a head."""

    path: Path
    names: tuple[str, ...]
    rows: Iterator[tuple[str, list[str]]]
    """(file:line, cells)"""


def read_table(path: Path, text: str, first: int) -> ListTable:
    """A CSV file whose head is line `first`, its columns between commas, semicolons, tabs or blanks.

    Raises SpecError.
    """
    body = text.split("\n", first - 1)[-1]
    delimiter = delimiter_of(body.partition("\n")[0])
    reader = csv.reader(StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True)

    def rows() -> Iterator[tuple[str, list[str]]]:
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield f"{path.name}:{reader.line_num + first - 1}", [cell.strip() for cell in cells]
        except csv.Error as error:
            where = f"{path.name}:{reader.line_num + first - 1}"
            raise SpecError("line is not CSV", written=where, got=str(error)) from None

    found = rows()
    _, head = next(found)
    return ListTable(path, tuple(normal_column(name) for name in head), found)


def delimiter_of(head: str) -> str:
    """What stands between the columns of a head."""
    return next((mark for mark in "\t;," if mark in head), " ")


def normal_column(name: str) -> str:
    """A column's name as it is compared."""
    return re.sub(r"[ -]+", "_", name.strip().strip("\"'").strip().lower())


def header_columns(line: str) -> tuple[str, ...] | None:
    """The columns that a list's first line names; None where it is a video's."""
    names = tuple(normal_column(cell) for cell in line.split(delimiter_of(line)))
    known = {name for role in ("path", "label") for group in ROLES[role] for name in group}
    plain = all(not name.isdecimal() and not name.endswith(VIDEO_SUFFIXES) for name in names)
    return names if plain and len(names) > 1 and known & set(names) else None


def cells_by_column(table: ListTable, cells: list[str]) -> dict[str, str]:
    """Column -> cell; empty cells at the end may be left out. Raises SpecError for cells that have no column."""
    if len(cells) > len(table.names):
        raise SpecError(
            "line has more columns than the header",
            got=excerpt(" | ".join(cells)),
            want=f"{len(table.names)}: {', '.join(table.names)}",
            fix='quotes around what has the separator in it, such as "clay, pottery making"',
        )
    return dict.fromkeys(table.names, "") | dict(zip(table.names, cells))


def column_roles(names: Sequence[str], where: str) -> dict[str, str]:
    """What is said -> the column that says it. Raises SpecError where a path or a label is said nowhere, or twice."""
    found: dict[str, str] = {}
    for role, groups in ROLES.items():
        met = next((some for group in groups if (some := [name for name in names if name in group])), [])
        if len(met) > 1:
            raise SpecError(
                f"two columns for the {role}",
                written=where,
                got=", ".join(met),
                want=f"one column of the name {' or '.join(groups[0][:2])}",
                fix=f"another name for {met[1]}, such as {met[1]}_2",
            )
        if met:
            found[role] = met[0]
        elif role in ("path", "label"):
            want = f"a column of the name {', '.join(groups[0][:4])}"
            raise SpecError(f"no column for the {role}", written=where, got=", ".join(filter(None, names)), want=want)
    last = next((name for name in names if name in END_FRAME_COLUMNS), None)
    if last or ("offset" in found and "frames" not in found):
        got = last or f"{found['offset']} without frames"
        want = "offset and frames: how many pictures to leave out, and how many count"
        raise SpecError("columns that do not say which pictures count", written=where, got=got, want=want)
    return found


def listing_of_table(table: ListTable) -> Listing:
    """path,label with a head; also split, start, end and centre (seconds), frames and offset of pictures."""
    roles = column_roles(table.names, f"{table.path.name}:1")
    lines = parse_each(table.rows, lambda where, cells: parse_row(cells_by_column(table, cells), roles, where))
    return Listing("table", lines, roles["label"] in PLURAL or any(len(line.labels) > 1 for line in lines))


def listing_of_entries(path: Path, data: list[dict[str, Any]]) -> Listing:
    """[{path, label}] of JSON, `labels` a list where a video may have several."""
    several = False

    def line(where: str, entry: dict[str, Any]) -> ListLine:
        nonlocal several
        named = {normal_column(name): value for name, value in entry.items()}
        roles = column_roles(list(named), where)
        several |= roles["label"] in PLURAL
        return parse_row(named, roles, where)

    lines = parse_each(((f"{path.name}, entry {i}", entry) for i, entry in enumerate(data)), line)
    return Listing("table", lines, several or any(len(line.labels) > 1 for line in lines))


def parse_row(row: dict[str, Any], roles: dict[str, str], where: str) -> ListLine:
    """A row as a line. Raises SpecError for cells that cannot be read."""
    said = {role: row[name] for role, name in roles.items() if row[name] not in ("", None)}
    seconds = {name: parse_seconds(str(said[name]), where, name) for name in SECONDS if name in said}
    video = str(said.get("path", ""))
    if not video:
        raise SpecError("line without a path", written=where, got=excerpt(str(row)), want="a file, or a folder")
    split = str(said.get("split", "")) or None
    if split and split.lower() not in {*SPLIT_NAMES, *UNUSED}:
        raise SpecError(
            "no split", written=where, got=excerpt(split), want=", ".join(sorted(SPLIT_NAMES)), fix="unused"
        )
    labels = labels_of(labels_in(said.get("label"), plural=roles["label"] in PLURAL))
    frames = None
    if "frames" in said:
        frames = (frame_count(str(said.get("offset", 0)), "offset"), frame_count(str(said["frames"]), "frames"))
    start, end = seconds.get("start", 0.0), seconds.get("end", float("inf"))
    check_in_order(start, end, where)
    return ListLine(video, labels, where, start, end, split, seconds.get("centre"), frames=frames)


def labels_in(cell: Any, *, plural: bool) -> list[str]:
    """The labels that a cell holds: one, several numbers, or several with | or ; between them. Raises SpecError."""
    inner = (list, dict, bool, float) if isinstance(cell, list) else (bool, float)
    if wrong := [name for name in (cell if isinstance(cell, list) else [cell]) if isinstance(name, inner)]:
        raise SpecError("label is not a name", got=excerpt(str(wrong[0])), want="a name, or a number")
    if isinstance(cell, list):
        return ["" if name is None else str(name) for name in cell]
    if isinstance(cell, dict):
        raise SpecError("labels are not a list", got=excerpt(str(cell)), want='labels: ["a", "b"]')
    text = "" if cell is None else str(cell).strip()
    if text.startswith("[") and text.endswith("]"):
        return parse_label_list(text)
    for mark in "|;":
        if mark in text:
            return [part.strip() for part in text.split(mark) if part.strip()]
    if re.fullmatch(r"\d+(?:[ ,\t]+\d+)+", text):
        return re.split(r"[ ,\t]+", text)
    if plural and "," in text:
        raise unclear_line(text, "labels with | between them, or a column of the name label", text.replace(",", "|"))
    return [text] if text else []


def normal_label(label: str) -> str:
    """A label as lists compare it: pandas writes the number 1 as 1.0. Raises SpecError for a number of no class."""
    if re.fullmatch(r"\d+\.0+", label):
        return label.partition(".")[0]
    digits_alone = any(letter.isdigit() for letter in label) and not any(letter.isalpha() for letter in label)
    if "\n" in label or (digits_alone and not label.isdecimal()):
        raise unclear_line(label, "a class's name, or its number from 0 on; several with | between them")
    return label


def labels_of(names: Sequence[str]) -> tuple[tuple[str, float, float], ...]:
    """The labels of a line, throughout. Raises SpecError for one that is written twice: 0 0 1 may be 1 for class 2."""
    found = whole_video_labels(*map(normal_label, names))
    if len(set(found)) < len(found):
        raise SpecError(
            "a class twice in one line", got=excerpt(" ".join(names)), want="each class once, by name or number"
        )
    return found


def parse_label_list(text: str) -> list[str]:
    """A list as Python and JSON write it. Raises SpecError."""
    for spelling in (text, text.replace("'", '"')):
        try:
            found = json.loads(spelling)
        except (ValueError, RecursionError):
            continue
        if all(isinstance(name, str | int) and not isinstance(name, bool) for name in found):
            return [str(name) for name in found]
    raise unclear_line(text, 'a list such as ["a", "b"] or [0, 1]')


def frame_count(text: str, name: str) -> int:
    """A number of frames; pandas writes 9 as 9.0."""
    if not re.fullmatch(r"\d{1,9}(?:\.0+)?", text, re.ASCII):
        raise SpecError(f"{name} is not a number", got=excerpt(text), want="a whole number")
    return int(text.partition(".")[0])


def check_in_order(start: float, end: float, where: str) -> None:
    """Raise SpecError for a part of a video that ends before it starts: nothing would be in it."""
    if end < start:
        raise SpecError(
            "a part that ends before it starts", written=where, got=f"{start:g} to {end:g} s", want="start, end"
        )


def parse_seconds(text: str, where: str, name: str) -> float:
    """A number of seconds, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e9:
        raise SpecError(f"{name} is not a number", written=where, got=excerpt(text), want="seconds")
    return value
