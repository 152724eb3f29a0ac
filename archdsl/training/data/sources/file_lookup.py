"""Find the file or folder that a line of a list names: exactly one, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from archdsl.errors import SpecError, excerpt
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES, Listing, ListLine, parse_each, unclear_line
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES as PICTURES
from archdsl.training.data.sources.pictures import pictures_in
from archdsl.training.data.sources.shard_member import ShardMember

Ending = tuple[str, ...]
"""The end of a path: its name, then the folders around it from the inmost on."""
NO_FOLDER = ""
"""In place of the folders of a file that has none."""
MAX_DEPTH = 16
"""Folders compared at most."""
FILES_SHOWN = 3
"""Files that are named in an error."""


def find_file(line: ListLine, root: Path) -> tuple[Path, str]:
    """(file or folder of pictures, why there is none): as written, or by the longest end of its path.

    Raises SpecError where two files fit alike.
    """
    video = line.video
    if "\0" in video or len(video) > 4000 or not video.strip("./"):
        raise SpecError("not a valid file name", written=line.where, got=repr(video[:80]))
    if exact := as_written(video, root):
        return check_no_file(line, exact)
    parts = re.split(r"[/\\]+" if "/" not in video else "/+", video.strip("/"))
    found = endings_below(root)
    near: list[Path] = []
    for name in dict.fromkeys(candidate_names(parts[-1], line.other_name)):
        near += found.get((name,), ())[:FILES_SHOWN]
        best = nearest(parts[:-1], name, found)
        if len(best) > 1:
            raise ambiguous_file(line, best, root)
        if best:
            return check_no_file(line, best[0])
    others = ", ".join(str(path.relative_to(root)) for path in list(dict.fromkeys(near))[:FILES_SHOWN])
    return root / video, f"{line.where}: no such file" + (f"; of that name only: {others}" if near else "")


def as_written(video: str, root: Path) -> Path | None:
    """What lies where a line says, from the list's folder or its `videos/`."""
    return next((base / video for base in (root, root / "videos") if os.path.lexists(base / video)), None)


def check_apart(lines: list[ListLine], places: list[Path | ShardMember], root: Path) -> None:
    """Raises SpecError where lines of different paths end at one file, which lies where one of them does not say."""
    met: dict[Path | ShardMember, ListLine] = {}
    for line, place in zip(lines, places, strict=True):
        if line.part:
            continue
        first = met.setdefault(place, line)
        if first.video != line.video and not (as_written(first.video, root) and as_written(line.video, root)):
            raise SpecError(
                "two lines that one file could be",
                written=line.where,
                got=excerpt(f"{first.video} ({first.where}) and {line.video}"),
                want="a file for each",
                fix="paths from the list's folder on; a line of a file that is not there has none to share",
            )


def ambiguous_file(line: ListLine, best: tuple[Path, ...], root: Path) -> SpecError:
    """The error of a path that several files end in."""
    found = [str(path.relative_to(root)) for path in best[:FILES_SHOWN]]
    return SpecError(
        "ambiguous video path",
        written=line.where,
        got=excerpt(line.video),
        want=" or ".join(found) + (f" or {len(best) - FILES_SHOWN} more" if len(best) > FILES_SHOWN else ""),
        fix=f"the path from the list's folder on, such as {found[0]}",
    )


def candidate_names(name: str, other: str | None) -> list[str]:
    """What the file may be called: as written, without its ending, as the list says too."""
    stem, dot, _ = name.rpartition(".")
    return [name, *([stem] if dot and name.lower().endswith(VIDEO_SUFFIXES) else []), *([other] if other else [])]


def nearest(folders: list[str], name: str, found: Mapping[Ending, tuple[Path, ...]]) -> tuple[Path, ...]:
    """Those that share most of the path's end: a folder at least, unless the path or the file has none."""
    if not folders:
        return found.get((name,), ())
    ending: Ending = (name, NO_FOLDER)
    for deep in range(1, min(len(folders), MAX_DEPTH) + 1):
        longer = (name, *reversed(folders[-deep:]))
        if longer not in found:
            break
        ending = longer
    return found.get(ending, ())


def walk_once(root: Path) -> Iterator[tuple[str, list[str]]]:
    """(folder, files) below a folder, also behind links, each once."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield folder, files


@lru_cache(maxsize=4)
def endings_below(root: Path) -> Mapping[Ending, tuple[Path, ...]]:
    """Ends of paths, of files with and without their ending -> videos and folders of pictures below a folder."""
    found: dict[Ending, list[Path]] = {}
    for folder, files in walk_once(root):
        place = Path(folder)
        own = place.relative_to(root).parts
        own = own[1:] if own[:1] == ("videos",) else own
        if place != root and any(file.lower().endswith(PICTURES) for file in files):
            add_endings(found, place, place.name, own[:-1])
        for file in files:
            if file.lower().endswith(VIDEO_SUFFIXES):
                for name in {file, Path(file).stem}:
                    add_endings(found, place / file, name, own)
    return {ending: tuple(sorted(paths)) for ending, paths in found.items()}


def add_endings(found: dict[Ending, list[Path]], path: Path, name: str, folders: tuple[str, ...]) -> None:
    """Put a path beside each of its ends: a line of a list is then found at once, however many files bear its name."""
    inwards = folders[::-1][:MAX_DEPTH] or (NO_FOLDER,)
    for deep in range(len(inwards) + 1):
        found.setdefault((name, *inwards[:deep]), []).append(path)


def check_no_file(line: ListLine, path: Path) -> tuple[Path, str]:
    """A place. Raises SpecError for a file where a list counts the pictures of a folder."""
    if line.frames and path.is_file():
        raise unclear_line(
            f"{line.video}, a file, with {line.frames[1]} frames",
            "path label; folder frames label",
            "the file's ending, where several numbers are labels",
        ).placed(None, line.where)
    return path, ""


def resolve_offsets(listing: Listing, root: Path) -> Listing:
    """A list whose lines have three numbers behind a folder, resolved by the folders: `folder offset frames label`, or
    `folder frames label label` (MMAction2 has both). Raises SpecError where the folders do not tell.
    """
    if listing.format == "words":
        parse_each(((line.where, line) for line in listing.lines), lambda _, line: check_file(line, root))
    if not listing.ambiguous:
        return listing
    guesses = parse_each(((line.where, line) for line in listing.lines), lambda _, line: counts_frames(line, root))
    if len({guess for guess in guesses if guess is not None}) != 1:
        raise unclear_line(
            listing.lines[0].video + " with three numbers",
            "folders whose pictures tell an offset from a number of frames",
            "a head: path offset frames label, or path frames labels",
        ).placed(None, listing.lines[0].where)
    if True in guesses:
        return listing
    lines = [with_offset(line) for line in listing.lines]
    return Listing(listing.format, lines, classes=listing.classes)


def check_file(line: ListLine, root: Path) -> None:
    """Raises SpecError for a folder with a file's ending and several numbers: labels, or frames and labels."""
    if len(line.labels) > 1 and line.video.lower().endswith(VIDEO_SUFFIXES) and find_file(line, root)[0].is_dir():
        got = f"{line.video}, a folder, with {len(line.labels)} numbers"
        raise unclear_line(got, "folder frames label", "a head: path frames label, or path,labels")


def counts_frames(line: ListLine, root: Path) -> bool | None:
    """Whether the first number is the folder's frames; None where it or the first two could be."""
    assert line.frames
    path, fault = find_file(line, root)
    if fault or not path.is_dir():
        return None
    pictures, first, second = len(pictures_in(path)), line.frames[1], int(line.labels[0][0])
    offset = second > 0 and first + second <= pictures
    if (first == pictures) != offset:
        return first == pictures
    return None


def with_offset(line: ListLine) -> ListLine:
    """The line, its first two numbers an offset and a number of frames."""
    assert line.frames
    return line._replace(frames=(line.frames[1], int(line.labels[0][0])), labels=line.labels[1:])
