"""Lists without a header: a video per line, followed by its labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.sources.columns import frame_count, labels_of, normal_label
from archdsl.training.data.sources.lines import (
    VIDEO_SUFFIXES,
    Listing,
    ListLine,
    parse_each,
    unclear_line,
    whole_video_labels,
)

MAX_LINE_LENGTH = 1 << 13
"""Letters of a line."""
SEPARATORS = re.compile(r"[ ,;\t]+")
SUFFIX_PATTERN = "|".join(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES)
VIDEO_PATTERN = re.compile(rf".*\.(?:{SUFFIX_PATTERN})(?=[ ,;\t]|$)", re.IGNORECASE)
"""A file's name up to its ending: it may have blanks and commas."""
LINE_FORMATS = "path label; path,label; folder frames label; or a head that names columns, such as path,label"

HEADER_FIX = 'a head, and quotes around what has blanks or commas: "clay, pottery making"'


class SplitLine(NamedTuple):
    """A line: a file or a folder, and what stands behind it."""

    video: str
    rest: list[str]
    folder: bool
    """Whether it has no ending of a video file."""


def listing_of_lines(path: Path, lines: Iterable[tuple[int, str]]) -> Listing:
    """`path label`, between blanks, tabs, commas or semicolons, several labels behind a file (MMAction2).

    TSN's `folder frames label`, of several labels or with an offset too (MMAction2); UCF101's `Class/video.avi 1` and
    `Class/video.avi`; HMDB51's `video.avi 1` in a file that bears the class's name. Raises SpecError.
    """
    found = [(f"{path.name}:{i}", split_line_or_fault(line)) for i, line in lines]
    understood = [words for _, words in found if isinstance(words, SplitLine)]
    by_folder = path.stem.startswith(("trainlist", "testlist")) or not any(words.rest for words in understood)
    read: Callable[[str, SplitLine], ListLine] = line_by_folder if by_folder else line_with_labels
    if hmdb := re.fullmatch(r"(.+)_test_split\d", path.stem):
        read = partial(line_of_hmdb, hmdb[1])

    def line_of(where: str, words: SplitLine | SpecError) -> ListLine:
        if isinstance(words, SpecError):
            raise words
        return read(where, words)

    made = parse_each(found, line_of)
    if hmdb:
        return Listing("words", made)
    if by_folder:
        check_folders(made, understood)
    else:
        check_one_kind(made)
    several = any(len(line.labels) > 1 for line in made)
    unsure = all(words.folder and len(words.rest) == 3 for words in understood)
    return Listing("words", made, several, ambiguous=unsure)


def check_one_kind(lines: list[ListLine]) -> None:
    """Raises SpecError where some labels are names and some are numbers: the meaning of the numbers is unknown."""
    kinds: dict[bool, list[ListLine]] = {True: [], False: []}
    for line in lines:
        kinds[all(name.isdecimal() for name, *_ in line.labels)].append(line)
    few, many = sorted(kinds.items(), key=lambda kind: len(kind[1]))
    if few[1]:
        got = f"{few[1][0].labels[0][0]} among {'numbers' if many[0] else 'names'}"
        raise SpecError("labels mix names and numbers", written=few[1][0].where, got=excerpt(got), want="one of both")


def check_folders(lines: list[ListLine], words: list[SplitLine]) -> None:
    """Raises SpecError where UCF101's numbers and folders are of different classes: the list is no UCF101's then."""
    folders: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for line, (_, said, _) in zip(lines, words, strict=True):
        folder, number = line.labels[0][0], " ".join(said)
        if said and (folders.setdefault(number, folder), numbers.setdefault(folder, number)) != (folder, number):
            raise SpecError(
                "a folder and a number of different classes",
                written=line.where,
                got=excerpt(f"folder {folder}, number {number}"),
                want="one number for each folder, as trainlist01.txt of UCF101 has",
                fix="another name for the list, where the numbers are the labels",
            )


def split_line_or_fault(line: str) -> SplitLine | SpecError:
    """A line taken apart, or why that cannot be done."""
    try:
        words = split_line(line)
    except SpecError as error:
        return error.with_traceback(None)
    return words if words.video.strip("./") else unclear_line(line, LINE_FORMATS)


def split_line(line: str) -> SplitLine:
    """A line taken apart. Raises SpecError where that could be done in several ways."""
    if len(line) > MAX_LINE_LENGTH:
        raise unclear_line(line, f"at most {MAX_LINE_LENGTH} letters")
    if line[0] in "\"'" and (end := line.find(line[0], 1)) > 0:
        video, rest = line[1:end], line[end + 1 :]
        return SplitLine(video, parse_labels(rest, line), not VIDEO_PATTERN.fullmatch(video))
    if match := VIDEO_PATTERN.match(line):
        return SplitLine(match[0], parse_labels(line[match.end() :], line), folder=False)
    for mark in (*(mark for mark in "\t;," if mark in line), None):
        cells = line.split(mark)
        numbers = next((i for i, cell in enumerate(reversed(cells)) if not cell.strip().isdecimal()), len(cells) - 1)
        if numbers:
            video = line.rsplit(mark, numbers)[0]
            return SplitLine(video.strip(), [cell.strip() for cell in cells[-numbers:]], folder=True)
    video, gap, rest = re.split(r"([\t;,]|$)", line, maxsplit=1)
    names = parse_labels(gap + rest, line)
    if len(names) > 1 or "/" in rest or (not names and len(line.split()) > 1):
        raise unclear_line(line, LINE_FORMATS)
    return SplitLine(video.strip(), names, folder=True)


def parse_labels(rest: str, line: str) -> list[str]:
    """What stands behind a path: numbers, or one name. Raises SpecError for anything else."""
    gap = SEPARATORS.match(rest)
    text = rest.strip(" ,;\t")
    if not text:
        return []
    mark = next((mark for mark in "\t;," if gap and mark in gap[0]), " ")
    if text[0] in "\"'" and text[-1] == text[0]:
        names = next(csv.reader([text], delimiter=mark, quotechar=text[0]))
        numbers = [number for name in names for number in SEPARATORS.split(name)]
        if all(number.isdecimal() for number in numbers):
            return numbers
        if len(names) == 1:
            return names
        raise unclear_line(line, LINE_FORMATS, HEADER_FIX)
    cells = SEPARATORS.split(text)
    if gap and all(cell.isdecimal() for cell in cells):
        return cells
    if not gap or len(text.split(mark)) > 1 or re.match(r"[-+.\d][\d.]*$", text) or {*'"|'} & {*text}:
        raise unclear_line(line, LINE_FORMATS, HEADER_FIX)
    return [normal_label(text)]


def line_with_labels(where: str, words: SplitLine) -> ListLine:
    """Everything behind the path is a label; after a folder the first of several numbers counts its frames."""
    numbers = words.rest
    if not whole_video_labels(*numbers):
        raise without_label(where, words.video)
    if not words.folder or len(numbers) == 1:
        return ListLine(words.video, labels_of(numbers), where)
    return ListLine(words.video, labels_of(numbers[1:]), where, frames=(0, frame_count(numbers[0], "frames")))


def line_by_folder(where: str, words: SplitLine) -> ListLine:
    """UCF101: the folder is the class, and numbers of classes begin at 1."""
    label = words.video.rpartition("/")[0].rpartition("/")[2]
    if not label:
        raise without_label(where, words.video)
    return ListLine(words.video, whole_video_labels(label), where)


def line_of_hmdb(name: str, where: str, words: SplitLine) -> ListLine:
    """1 is for training, 2 for testing, 0 for neither."""
    split = {"0": "unused", "1": "train", "2": "test"}.get(" ".join(words.rest))
    if split is None:
        raise unclear_line(f"{words.video} {' '.join(words.rest)}", "video.avi and 0, 1 or 2")
    return ListLine(words.video, whole_video_labels(name), where, split=split)


def without_label(where: str, video: str) -> SpecError:
    """The error of a line that says no label, among others that do or outside a folder."""
    return SpecError("line without a label", written=where, got=excerpt(video), want=LINE_FORMATS)
