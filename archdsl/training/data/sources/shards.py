"""WebDataset's shards: tars whose members belong together by a key. Indexed by their headers, read by their places.

Neither unpacked nor read in their own order: a step's clips are a function of recipe and step, wherever they lie.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from archdsl.errors import Fault, SpecError
from archdsl.spec.files import open_regular
from archdsl.training.data.sources.classes import classes_beside
from archdsl.training.data.sources.columns import labels_in, labels_of
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES, Listing, ListLine
from archdsl.training.data.sources.shard_member import ShardMember
from archdsl.training.data.sources.splits import SPLIT_NAMES, split_in
from archdsl.training.data.sources.tar_headers import BrokenTar, read_headers

SUFFIX = ".tar"
BRACES = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
MAX_SHARDS = 1_000_000
"""Shards of a pattern."""
MAX_LABEL_BYTES = 1 << 24
"""Bytes of a label."""
INDEX_THREADS = 16
"""Shards that are indexed at a time: a header is a seek, which a network drive takes its time for."""
SHARDS_SHOWN = 20
"""Broken shards that an error shows."""

Members = dict[str, tarfile.TarInfo]
"""What follows the key -> member: mp4, cls, json."""


def is_pattern(path: Path) -> bool:
    """Whether a path names shards: one, or several by `{000..009}` or `*`."""
    return path.suffix == SUFFIX and not path.is_dir()


def shards_of(path: Path) -> list[Path]:
    """The shards that a pattern names, or those of a folder without folders; none where it is something else."""
    if is_pattern(path):
        return shards_named(path)
    if not path.is_dir():
        return []
    inside = [one for one in path.iterdir() if not one.name.startswith(".")]
    return [] if any(one.is_dir() for one in inside) else sorted(one for one in inside if one.suffix == SUFFIX)


def shards_named(pattern: Path) -> list[Path]:
    """The shards of a pattern; by numbers in braces all of them, by a star those that are there. Raises SpecError."""
    if "*" in pattern.name:
        return sorted(pattern.parent.glob(pattern.name))
    paths = [Path(text) for text in expand_braces(str(pattern))]
    missing = [path for path in paths if not path.is_file()]
    if missing and len(paths) > 1:
        got = f"{len(paths) - len(missing)} of {len(paths)}, no {missing[0]}"
        raise SpecError("missing shards", got=got, want=str(pattern))
    return [] if missing else paths


def expand_braces(text: str) -> list[str]:
    """`a-{08..10}` as a-08, a-09, a-10. Raises SpecError where these are none, or too many."""
    found = BRACES.search(text)
    if not found:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < MAX_SHARDS:
        raise SpecError("not a range of shards", got=text, want=f"{{first..last}}, 1 to {MAX_SHARDS} of them")
    head, tail, digits = text[: found.start()], text[found.end() :], len(found[1])
    return [f"{head}{number:0{digits}d}{tail}" for number in range(first, last + 1)]


def shards_of_split(pattern: Path, splits: Iterable[str], name: str) -> Path | None:
    """Shards of any number that bear a split's name in place of others, as file or as folder; None where none do."""
    words = re.compile(rf"(?<![a-z])({'|'.join(splits)})(?![a-z])", re.IGNORECASE)
    parts = [BRACES.sub("*", words.sub(name, part)) for part in pattern.parts[-2:]]
    other = Path(*pattern.parts[:-2], *parts)
    return other if words.search("/".join(pattern.parts[-2:])) and shards_of(other) else None


def listing_of_shards(shards: list[Path]) -> Listing:
    """Every video of some shards, in their order. Raises SpecError with the first fault of each that is broken."""
    whole = Listing("shards", [])
    faults: list[Fault] = []
    with ThreadPoolExecutor(INDEX_THREADS) as pool:
        for found in pool.map(lines_or_faults, shards):
            if isinstance(found, SpecError):
                faults.extend(found.faults)
            else:
                whole.lines.extend(found.lines)
                whole.multi_label |= found.multi_label
    if faults:
        raise SpecError(faults[:SHARDS_SHOWN])
    folder = shards[0].parent
    whole.classes = tuple(classes_beside(folder))
    if not whole.classes and folder.name.lower() in SPLIT_NAMES:
        whole.classes = tuple(classes_beside(folder.parent))
    return whole


def lines_or_faults(shard: Path) -> Listing | SpecError:
    """The videos of one shard, or what is wrong in it."""
    found = Listing("shards", [])
    try:
        with open_regular(shard) as file:
            for members in by_key(shard, tar_members(shard, file)).values():
                video, label = video_of(shard, members), label_of(shard, file, members)
                if label is None and video:
                    want = "KEY.cls with the number of a class, or KEY.json with label or labels"
                    raise SpecError("video without a label", written=shard.name, got=video.name, want=want)
                if label:
                    found.lines.append(line_of_member(shard, video, *label))
                    found.multi_label |= "labels" in label[1] or len(found.lines[-1].labels) > 1
    except OSError as error:
        return SpecError(f"cannot read {shard}", got=error.strerror or str(error))
    except SpecError as error:
        return error
    return found if found.lines else SpecError("shard without videos", written=shard.name)


def tar_members(shard: Path, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Members by their headers alone. Raises SpecError where the tar does not go on to its end."""
    try:
        yield from read_headers(file)
    except BrokenTar as error:
        raise broken_shard(shard, error.place, os.fstat(file.fileno()).st_size, error.why) from None


def broken_shard(shard: Path, place: int, size: int, why: str) -> SpecError:
    """The error of a file that is no tar, or one that breaks off."""
    return SpecError(
        "cannot read shard",
        written=shard.name,
        got=f"{why}, after byte {place} of {size}",
        want="a tar that is whole and not compressed",
    )


def by_key(shard: Path, members: Iterable[tarfile.TarInfo]) -> dict[str, Members]:
    """Key -> what it has. The key ends at the first dot of the last part of a name, as WebDataset's does."""
    keys: dict[str, Members] = {}
    for member in members:
        folder, slash, name = member.name.rpartition("/")
        stem, dot, kind = name.partition(".")
        if member.isdir() or not stem or not dot:
            continue
        known = keys.setdefault(f"{folder}{slash}{stem}", {})
        if kind.lower() in known:
            raise SpecError("two members with one name", written=shard.name, got=member.name)
        known[kind.lower()] = member
    return keys


def video_of(shard: Path, members: Members) -> tarfile.TarInfo | None:
    """The video of a key. Raises SpecError where there are two."""
    videos = [member for kind, member in members.items() if f".{kind}".endswith(VIDEO_SUFFIXES)]
    if len(videos) > 1:
        got = ", ".join(member.name for member in videos)
        raise SpecError("two videos with one key", written=shard.name, got=got, want="one")
    return videos[0] if videos else None


def line_of_member(shard: Path, video: tarfile.TarInfo | None, label: str, record: dict[str, Any]) -> ListLine:
    """A video, or a label without one, which is a matter of reading as a file that is not there is."""
    where = f"{shard.name}/{label}"
    if video is None:
        name, part = where, ShardMember(shard, 0, 0, "no video beside its label")
    else:
        name = f"{shard.name}/{video.name}"
        part = ShardMember(
            shard, video.offset_data, video.size, "" if is_plain_file(video) else "a link, or no file at all"
        )
    several = "labels" in record
    cell = record["labels"] if several else record.get("label")
    if several and not isinstance(cell, list):
        want = 'labels: ["a", "b"]'
        raise SpecError("labels are not a list", written=where, got=str(cell)[:80], want=want)
    try:
        labels = labels_of(labels_in(cell, plural=several))
    except SpecError as error:
        raise error.placed(None, where) from None
    return ListLine(name, labels, where, split=split_in(shard.stem), part=part)


def is_plain_file(member: tarfile.TarInfo) -> bool:
    """Whether a member's bytes lie behind its header as they are."""
    return member.isreg() and member.sparse is None


def label_of(shard: Path, file: BinaryIO, members: Members) -> tuple[str, dict[str, Any]] | None:
    """The member that says label or labels, and what it says; None where there is none. KEY.cls before KEY.json."""
    for kind, read in (("cls", number_in), ("json", mapping_in)):
        member = members.get(kind)
        if member and is_plain_file(member):
            where = f"{shard.name}/{member.name}"
            if member.size > MAX_LABEL_BYTES:
                raise SpecError(
                    "label file too large", written=where, got=f"{member.size} bytes", want=f"{MAX_LABEL_BYTES}"
                )
            file.seek(member.offset_data)
            record = read(file.read(member.size), where)
            if {"label", "labels"} & record.keys():
                return member.name, record
    return None


def number_in(data: bytes, where: str) -> dict[str, Any]:
    """KEY.cls: the number of a class."""
    text = data.decode("utf-8", "backslashreplace").strip()
    if not (text.isascii() and text.isdecimal()):
        raise SpecError("label is not a number", written=where, got=repr(text[:80]), want="the number of a class")
    return {"label": text}


def mapping_in(data: bytes, where: str) -> dict[str, Any]:
    """KEY.json: a mapping, whatever else it may say."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SpecError("not JSON", written=where, got=str(error)) from None
    if not isinstance(record, dict):
        raise SpecError("JSON is not a mapping", written=where, got=str(record)[:80], want='{"label": "a"}')
    return record
