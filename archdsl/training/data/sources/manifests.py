"""Lists of labelled videos, in the formats in which datasets are published. Formats are recognised by content."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archdsl.errors import SpecError, did_you_mean, excerpt, listed
from archdsl.spec.files import read_text
from archdsl.training.data.sources.columns import (
    ListTable,
    cells_by_column,
    check_in_order,
    header_columns,
    listing_of_entries,
    listing_of_table,
    parse_seconds,
    read_table,
)
from archdsl.training.data.sources.lines import Listing, ListLine, parse_each, whole_video_labels
from archdsl.training.data.sources.plain_lists import MAX_LINE_LENGTH, listing_of_lines

MAX_LIST_BYTES = 1 << 28
"""Bytes of a list; Kinetics-700's is 40 MB."""
MAX_LABEL_DIGITS = 20
"""Digits of a class's number."""
EXCEL_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""The first line of a CSV file for Excel: what stands between its columns, which the head shows."""
OWN_LABEL = "_class"
"""How a column ends that has the number of one of several labels, such as `verb_class`."""
CHARADES_FPS = 24
"""Pictures that Charades is published in."""


def listing_of(path: Path) -> Listing:
    """The videos a file names. Raises SpecError for a file of no known format, and for the lines that break it."""
    text = list_text(path)
    if path.suffix.lower() == ".json":
        return listing_of_json(path, text)
    lines = [(i + 1, line.strip()) for i, line in enumerate(text.split("\n")) if line.strip()]
    if lines and EXCEL_SEPARATOR.fullmatch(lines[0][1]):
        del lines[0]
    if not lines:
        raise SpecError("list without videos", written=path.name)
    first, line = lines[0]
    names = header_columns(line[:MAX_LINE_LENGTH])
    if names is None:
        return listing_of_lines(path, lines)
    if sum(name.endswith(OWN_LABEL) for name in names) > 1:
        return listing_of_own_labels(read_table(path, text, first))
    read = next((read for columns, read in TABLES if set(columns) <= set(names)), listing_of_table)
    return read(read_table(path, text, first))


def list_text(path: Path) -> str:
    """A list as text."""
    return read_text(path, MAX_LIST_BYTES, "utf-8-sig")


def listing_of_kinetics(table: ListTable) -> Listing:
    """label,youtube_id,time_start,time_end,split: files are ID_000010_000020.mp4, or ID.mp4, already cut."""

    def line(where: str, cells: list[str]) -> ListLine:
        row = cells_by_column(table, cells)
        first, last = (parse_seconds(row[name], where, name) for name in ("time_start", "time_end"))
        check_in_order(first, last, where)
        stem = f"{row['youtube_id']}_{int(first):06d}_{int(last):06d}"
        split = row.get("split") or None
        return ListLine(
            stem, whole_video_labels(row.get("label", "")), where, split=split, other_name=row["youtube_id"]
        )

    return Listing("kinetics", parse_each(table.rows, line))


def listing_of_own_labels(table: ListTable) -> Listing:
    """path or video_id, maybe start_timestamp and stop_timestamp, and a number for each of several labels.

    EPIC-KITCHENS-100 has verb_class and noun_class, and files named by video_id; classes are called `verb/3`.
    """

    def line(where: str, cells: list[str]) -> ListLine:
        row = cells_by_column(table, cells)
        labels = []
        for column in (name for name in table.names if name.endswith(OWN_LABEL)):
            if not row[column].isdecimal() or len(row[column]) > MAX_LABEL_DIGITS:
                raise SpecError("not the number of a class", at=column, written=where, got=excerpt(row[column]))
            labels.append(f"{column.removesuffix(OWN_LABEL)}/{int(row[column])}")
        first, last = (clock_seconds(row.get(name, ""), where, name) for name in ("start_timestamp", "stop_timestamp"))
        last = last or float("inf")
        check_in_order(first, last, where)
        return ListLine(row.get("path") or row.get("video_id", ""), whole_video_labels(*labels), where, first, last)

    return Listing("own labels", parse_each(table.rows, line), multi_label=True)


def clock_seconds(text: str, where: str, name: str) -> float:
    """Seconds of 00:01:02.50; 0 where nothing is written."""
    parts = [parse_seconds(part, where, name) for part in text.split(":")] if text.strip() else []
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def listing_of_charades(table: ListTable) -> Listing:
    """id,...,actions,length: actions are `c092 11.90 21.20;c147 0.00 12.60`; a video may have several."""

    def line(where: str, cells: list[str]) -> ListLine:
        row = cells_by_column(table, cells)
        actions = []
        for action in filter(None, row["actions"].split(";")):
            parts = action.split()
            if len(parts) != 3:
                raise SpecError("cannot parse action", written=where, got=excerpt(action), want="c092 11.90 21.20")
            first, last = (parse_seconds(text, where, name) for name, text in zip(("from", "to"), parts[1:]))
            check_in_order(first, last, where)
            actions.append((parts[0], first, last))
        return ListLine(row["id"], tuple(actions), where)

    classes = tuple(f"c{i:03d}" for i in range(157))
    return Listing("charades", parse_each(table.rows, line), multi_label=True, classes=classes)


def listing_of_frames(table: ListTable) -> Listing:
    """original_vido_id video_id frame_id path labels, a picture on each line: PySlowFast's lists of Charades."""
    videos: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for where, row in parse_each(table.rows, lambda where, cells: (where, cells_by_column(table, cells))):
        rows = videos.setdefault(row["original_vido_id"], [])
        if row["frame_id"] != str(len(rows)):
            raise SpecError(
                "pictures out of order", written=where, got=excerpt(row["frame_id"]), want=f"frame {len(rows)}"
            )
        rows.append((where, row))
    lines = [line_of_frames(rows) for rows in videos.values()]
    if not any(line.labels for line in lines):
        want = "labels such as 1,5; of Something-Something they are in its JSON: name that"
        raise SpecError("list of pictures without labels", written=lines[0].where, want=want)
    return Listing("frame list", lines, multi_label=True)


def line_of_frames(rows: list[tuple[str, dict[str, str]]]) -> ListLine:
    """The pictures of a video as one line: a label holds from its first picture to its last without a gap."""
    where, first = rows[0]
    folders = {row["path"].rpartition("/")[0] for _, row in rows}
    if len(folders) > 1:
        raise SpecError(
            "video with pictures in several folders",
            written=where,
            got=excerpt(", ".join(sorted(folders))),
            want="one folder",
        )
    actions: list[tuple[str, float, float]] = []
    open_since: dict[str, int] = {}
    for i, labels in enumerate([*(set(filter(None, row["labels"].split(","))) for _, row in rows), set()]):
        for label in [*open_since]:
            if label not in labels:
                actions.append((label, open_since.pop(label) / CHARADES_FPS, (i - 1) / CHARADES_FPS))
        for label in labels:
            open_since.setdefault(label, i)
    return ListLine(folders.pop() or first["original_vido_id"], tuple(sorted(actions)), where)


TABLES: tuple[tuple[tuple[str, ...], Callable[[ListTable], Listing]], ...] = (
    (("youtube_id", "time_start", "time_end"), listing_of_kinetics),
    (("id", "actions", "length"), listing_of_charades),
    (("original_vido_id", "video_id", "frame_id", "path", "labels"), listing_of_frames),
)
"""Columns that a file of each data set has."""


def listing_of_json(path: Path, text: str) -> Listing:
    """Something-Something's list of videos, Kinetics' mapping of videos, or our own list of path and label."""
    try:
        data = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, SpecError):
            raise error.placed(None, path.name) from None
        raise SpecError("not JSON", written=path.name, got=str(error)) from None
    if isinstance(data, list) and all(isinstance(one, dict) for one in data):
        return listing_of_something(path, data) if data and "template" in data[0] else listing_of_entries(path, data)
    if isinstance(data, dict) and all(isinstance(one, dict) and "annotations" in one for one in data.values()):
        return listing_of_annotations(path, data)
    raise SpecError(
        "unknown JSON format",
        written=path.name,
        want="a list of {path, label} or of {id, template}, or a mapping of videos to {subset, annotations}",
    )


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON. Raises SpecError for a name that it has twice: json keeps the last alone."""
    if len(made := dict(pairs)) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise SpecError("two values of one name", got=excerpt(twice), want="each name once")
    return made


def listing_of_something(path: Path, data: list[dict[str, Any]]) -> Listing:
    """[{id, label, template}]: the class is the template without its brackets, files are ID.webm."""
    lines = []
    for i, one in enumerate(data):
        name = str(one.get("template", "")).replace("[", "").replace("]", "")
        lines.append(ListLine(str(one.get("id", "")), whole_video_labels(name), f"{path.name}, entry {i}"))
    return Listing("something", lines)


def listing_of_annotations(path: Path, data: dict[str, Any]) -> Listing:
    """{id: {subset, annotations: {label, segment}}}, as Kinetics is published in JSON."""
    lines = []
    for name, one in data.items():
        where = f"{path.name}, {name}"
        if not isinstance(one["annotations"], dict):
            raise SpecError("annotations are not a mapping", written=where, got=str(one["annotations"])[:80])
        first, last = segment(one["annotations"], where)
        stem = f"{name}_{int(first):06d}_{int(last):06d}"
        label = str(one["annotations"].get("label", ""))
        lines.append(
            ListLine(stem, whole_video_labels(label), where, split=str(one.get("subset", "")) or None, other_name=name)
        )
    return Listing("kinetics", lines)


def segment(one: dict[str, Any], where: str) -> tuple[float, float]:
    """From when to when, in seconds."""
    found = one.get("segment") or [0, 0]
    if not isinstance(found, list) or len(found) != 2:
        raise SpecError("segment is not two numbers", written=where, got=str(found)[:80], want="[0.0, 10.0]")
    first, last = (parse_seconds(str(second), where, "segment") for second in found)
    check_in_order(first, last, where)
    return first, last


def class_number(line: ListLine, label: str, classes: tuple[str, ...], places: dict[str, int]) -> int:
    """The number of a class given by name or number. Raises SpecError for an unknown one."""
    number = str(int(label)) if label.isdecimal() and len(label) < MAX_LABEL_DIGITS else label
    for name in (label, number):
        if name in places:
            return places[name]
    raise SpecError(
        "unknown label",
        written=line.where,
        got=label,
        want=listed(classes, f"one of {len(classes)} classes, which archdsl data check names"),
        fix=did_you_mean(label, classes),
    )
