"""AVA's files: a person's box and one of its actions a line, excluded key frames, names of actions."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.annotations.boxes.key_frame_boxes import Person
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.sources.manifests import list_text

FULL, PREDICTED, SHORT, BARE = 7, 8, 6, 2
"""Columns: of a true box without and with its person's number (or of a predicted one with its score); of a predicted
box without either; of a key frame without boxes."""
SLACK = 0.01
"""Shares of the frame by which a box may reach beyond it: detectors round. It is cut to the frame."""
MOST_SECONDS = 10**6
MOST_ACTIONS = 10_000
NAME_LINE = re.compile(r'\s*name:\s*"(?P<name>.*)"\s*')
NUMBER_LINE = re.compile(r"\s*(?:label_)?id:\s*(?P<number>\d{1,9})\s*")
TRUE_ROW = "video,timestamp,x1,y1,x2,y2,action,person"
PREDICTED_ROW = "video,timestamp,x1,y1,x2,y2,action or nothing,score"

Key = tuple[str, int]
"""(video, second)"""


class AvaRow(NamedTuple):
    """A line: a box of a key frame, one action or none, the number of the person or the score."""

    key: Key
    box: tuple[float, float, float, float] | None
    """None where the line says that the key frame has none."""
    action: int | None
    last: float | None


class LabelMap(NamedTuple):
    """Names of actions by their number, from 1, and those numbers that are tested."""

    names: tuple[str, ...]
    tested: tuple[int, ...]
    """From 0 on."""


def read_true_boxes(path: Path, labels: LabelMap) -> dict[Key, list[Person]]:
    """The persons of each key frame, their actions together. Raises SpecError with every line that is broken."""
    rows = parse_each(rows_of(path), lambda _, cells: ava_row(cells, TRUE_ROW, labels))
    check_once(path, rows)
    return persons_of(rows)


def read_predicted_boxes(path: Path, labels: LabelMap, least: float) -> dict[Key, list[Person]]:
    """The boxes of a detector that score at least so much. Raises SpecError with every line that is broken."""
    rows = parse_each(rows_of(path), lambda _, cells: ava_row(cells, PREDICTED_ROW, labels))
    scored = [row for row in rows if row.box is None or row.last is None or row.last >= least]
    found = persons_of(scored)
    return {row.key: [] for row in rows} | found


def read_excluded(path: Path) -> set[Key]:
    """Key frames that do not count. Raises SpecError with every line that is broken."""

    def key(where: str, cells: list[str]) -> Key:
        if len(cells) != BARE:
            raise unclear(cells, "video,timestamp")
        return ava_key(cells)

    return set(parse_each(rows_of(path), key))


def read_label_map(path: Path) -> LabelMap:
    """`name: "..."` and `id: n` (or `label_id: n`) of each action. Raises SpecError."""
    found: dict[int, str] = {}
    name = None
    for i, line in enumerate(list_text(path).splitlines(), 1):
        if match := NAME_LINE.fullmatch(line):
            name = match["name"]
        elif match := NUMBER_LINE.fullmatch(line):
            number, where = int(match["number"]), f"{path.name}:{i}"
            if name is None or not 1 <= number <= MOST_ACTIONS:
                raise SpecError(
                    "not an action of a label map", written=where, got=line.strip(), want='name: "..." and id: 1 ...'
                )
            if number in found:
                raise SpecError("two actions of one number", written=where, got=f"{found[number]} and {name}")
            found[number], name = name, None
    if not found:
        raise SpecError("no actions", written=path.name, want='name: "..." and id: n, a line each')
    names = tuple(found.get(number, f"id {number}") for number in range(1, max(found) + 1))
    return LabelMap(names, tuple(number - 1 for number in sorted(found)))


def rows_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(file:line, cells) of every line that is not empty."""
    reader = csv.reader(StringIO(list_text(path)), strict=True)
    try:
        for cells in reader:
            if cells:
                yield f"{path.name}:{reader.line_num}", [cell.strip() for cell in cells]
    except csv.Error as error:
        raise SpecError("cannot parse line", written=f"{path.name}:{reader.line_num}", got=str(error)) from None


def ava_row(cells: list[str], form: str, labels: LabelMap) -> AvaRow:
    """One line. Raises SpecError."""
    if len(cells) not in (FULL, PREDICTED, SHORT, BARE):
        raise unclear(cells, f"{form}; or video,timestamp of a key frame without boxes")
    key, numbers = ava_key(cells), cells[2:]
    if not any(numbers):
        return AvaRow(key, None, None, None)
    action = cells[SHORT] if len(cells) > SHORT else ""
    last = cells[FULL] if len(cells) > FULL else ""
    return AvaRow(key, box_of(numbers[:4]), action_of(action, labels), finite_number(last, form) if last else None)


def ava_key(cells: list[str]) -> Key:
    """Video and second. Raises SpecError."""
    video, second = cells[:2]
    if not video or not second.isascii() or not second.isdecimal() or len(second) > len(str(MOST_SECONDS)):
        raise unclear(cells[:2], "a video and a whole second, such as 0902")
    return video, int(second)


def box_of(cells: list[str]) -> tuple[float, float, float, float]:
    """A box within the frame. Raises SpecError for one that is outside or has no area."""
    x1, y1, x2, y2 = (finite_number(cell, "four numbers") for cell in cells)
    if min(x1, y1) < -SLACK or max(x2, y2) > 1 + SLACK:
        raise SpecError("a box outside the frame", got=",".join(cells), want="0 to 1, shares of width and height")
    x1, y1, x2, y2 = (min(max(one, 0.0), 1.0) for one in (x1, y1, x2, y2))
    if x1 >= x2 or y1 >= y2:
        raise SpecError("a box without area", got=",".join(cells), want="x1 below x2 and y1 below y2")
    return x1, y1, x2, y2


def finite_number(cell: str, form: str) -> float:
    """A finite number. Raises SpecError."""
    try:
        number = float(cell)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise SpecError("not a number", got=excerpt(cell) or "nothing", want=form)
    return number


def action_of(cell: str, labels: LabelMap) -> int | None:
    """An action from 0 on; None where there is none. Raises SpecError for one that the label map lacks."""
    if cell in ("", "-1"):
        return None
    if not cell.isascii() or not cell.isdecimal() or len(cell) > len(str(MOST_ACTIONS)):
        raise SpecError("not the number of an action", got=excerpt(cell), want=f"1 to {len(labels.names)}")
    if not 1 <= int(cell) <= len(labels.names):
        raise SpecError("an action that the label map lacks", got=cell, want=f"1 to {len(labels.names)}")
    return int(cell) - 1


def check_once(path: Path, rows: list[AvaRow]) -> None:
    """Raises SpecError with the lines that say again what a line before them says."""
    met: dict[AvaRow, str] = {}

    def check(where: str, row: AvaRow) -> None:
        if (first := met.setdefault(row, where)) != where:
            raise SpecError("the same line twice", got=f"as in {first}", want="each box and action once")

    parse_each(zip((where for where, _ in rows_of(path)), rows, strict=True), check)


def persons_of(rows: list[AvaRow]) -> dict[Key, list[Person]]:
    """Boxes of each key frame with all of their actions, in the order of lines."""
    found: dict[Key, dict[tuple[float, float, float, float], list[int]]] = {}
    for row in rows:
        boxes = found.setdefault(row.key, {})
        if row.box is not None:
            actions = boxes.setdefault(row.box, [])
            actions += [row.action] if row.action is not None and row.action not in actions else []
    return {key: [Person(box, tuple(actions)) for box, actions in boxes.items()] for key, boxes in found.items()}


def unclear(cells: list[str], want: str) -> SpecError:
    """The error of a line of another form."""
    return SpecError("cannot parse line", got=excerpt(",".join(cells)), want=want)
