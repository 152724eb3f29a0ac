"""Annotations of what happens when: the JSON of ActivityNet and of BSN, and the class files of THUMOS'14."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.feature_sequences import (
    FeatureSequences,
    SequenceEntry,
    feature_files,
    row_count,
    windows_over,
)
from archdsl.training.data.annotations.time_segments import TimedSegment
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.sources.classes import classes_beside
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.sources.manifests import list_text

SUBSETS = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}
"""Words of a subset, the likeliest first: ActivityNet's `training` has `train` in it."""
THUMOS_FILE = re.compile(r"(?P<name>.+)_(?P<split>val|test)\.txt")
"""Training is done on THUMOS'14's validation videos."""
AMBIGUOUS = "Ambiguous"
SEGMENT_LAYOUT = (
    "a .json of ActivityNet or BSN, or CLASS_val.txt and CLASS_test.txt of THUMOS'14, "
    "beside features as VIDEO.csv or VIDEO.npy"
)


class AnnotatedVideo(NamedTuple):
    """A video as annotations have it."""

    video: str
    duration: float | None
    """None where the file does not say."""
    segments: tuple[tuple[float, float, str], ...]
    subset: str = ""
    fault: str = ""


def feature_sequences(data: str, split: str, clips: Mapping[str, Clip]) -> FeatureSequences:
    """The videos of a split with their features. Raises SpecError."""
    root = Path(data)
    if not root.is_dir():
        raise SpecError("no such folder", got=excerpt(data), want=f"motion, or a folder of {SEGMENT_LAYOUT}")
    files = annotation_files(root)
    if not files:
        raise SpecError("no annotations", got=str(root), want=SEGMENT_LAYOUT)
    if files[0].suffix == ".json":
        videos, classes = json_videos(files, split)
    else:
        videos, classes = thumos_videos(files, split)
    named = {AMBIGUOUS: -1} | {name: i for i, name in enumerate(known_classes(root, classes))}
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for clip, video, path in feature_files(root, clips):
        found[video][clip] = path
    if not found:
        raise SpecError("no features", got=str(root), want=f"VIDEO.csv or VIDEO.npy for {', '.join(clips)}")
    entries = [one for video in videos for one in sequence_entries(video, found, named, clips)]
    if not entries:
        raise SpecError(f"no videos of {split}", got=", ".join(str(file.name) for file in files[:4]), want=split)
    return FeatureSequences(tuple(entries), tuple(name for name in named if name != AMBIGUOUS), clips)


def annotation_files(root: Path) -> list[Path]:
    """The JSON files of a folder; else those of THUMOS'14 in it or in a folder of it."""
    lists = [path for path in [*root.glob("*.txt"), *root.glob("*/*.txt")] if THUMOS_FILE.fullmatch(path.name)]
    return sorted(root.glob("*.json")) or sorted(lists)


def known_classes(root: Path, classes: Iterable[str]) -> list[str]:
    """Names in the order of a file of classes beside the annotations, else of the alphabet."""
    return [*classes_beside(root)] or sorted({*classes})


def sequence_entries(
    video: AnnotatedVideo, found: Mapping[str, Mapping[str, Path]], named: Mapping[str, int], clips: Mapping[str, Clip]
) -> Iterator[SequenceEntry]:
    """A video as one entry, or as windows where the network's clips have a rate."""
    files = found.get(video.video) or found.get(f"v_{video.video}") or found.get(video.video.removeprefix("v_")) or {}
    clip = next(iter(clips.values()))
    fault = video.fault or segment_fault(video, named)
    missing = [name for name in clips if name not in files]
    if not fault and missing:
        fault = f"no features for {', '.join(missing)}: no {video.video}.csv or .npy"
    if not fault and video.duration is None and not clip.fps:
        fault = "no duration: the clip of features needs fps, or the annotations a duration"
    kept = () if fault else tuple(TimedSegment(start, end, named[label]) for start, end, label in video.segments)
    entry = SequenceEntry(video.video, files, tuple(dict.fromkeys(kept)), video.duration or 0.0, fault=fault)
    if fault or not clip.fps:
        yield entry
        return
    try:
        rows = min(row_count(files[name]) for name in clips)
    except Unreadable as error:
        yield SequenceEntry(video.video, files, entry.segments, 0.0, fault=error.reason)
        return
    yield from windows_over(entry, rows, clip)


def segment_fault(video: AnnotatedVideo, named: Mapping[str, int]) -> str:
    """What is wrong with a video's segments; nothing where all can be."""
    for start, end, label in video.segments:
        place = f"{start:g} to {end:g} s, {label}"
        if not (math.isfinite(start) and math.isfinite(end)):
            return f"a segment that is no number: {place}"
        if end <= start or start < 0:
            return f"a segment that ends before it begins, or begins before 0: {place}"
        if video.duration is not None and start >= video.duration:
            return f"a segment beyond the video's {video.duration:g} s: {place}"
        if label not in named:
            return f"a segment of no class: {place}"
    return ""


def json_videos(files: list[Path], split: str) -> tuple[list[AnnotatedVideo], set[str]]:
    """(videos of a split, classes of all) of one or several files. Raises SpecError."""
    videos: dict[str, AnnotatedVideo] = {}
    for file in files:
        whole = parsed(file)
        records = dict(whole).get("database", whole) if isinstance(whole, JsonPairs) else None
        if not isinstance(records, JsonPairs):
            got = excerpt(str(whole)[:100])
            raise SpecError("not annotations of segments", written=file.name, got=got, want='{"database": {ID: {...}}}')
        for name, record in records:
            one = annotated(name, record, file)
            if name in videos:
                one = one._replace(fault=f"{file.name}, {name}: two videos of that name")
            videos[name] = one
    known = subsets_beside(files[0].parent)
    subsets = {name: known.get(name, one.subset) for name, one in videos.items()}
    wanted = next((word for word in SUBSETS[split] if any(word in subset for subset in subsets.values())), split)
    classes = {label for one in videos.values() for _, _, label in one.segments}
    return [one for name, one in videos.items() if wanted in subsets[name]], classes


def subsets_beside(folder: Path) -> dict[str, str]:
    """Video -> subset, of BSN's video_info_new.csv where there is one."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("video_info*.csv")):
        head, *lines = [line.split(",") for line in list_text(file).splitlines() if line.strip()] or [[]]
        if {"video", "subset"} <= {*head}:
            video, subset = head.index("video"), head.index("subset")
            found |= {row[video]: row[subset].lower() for row in lines if len(row) == len(head)}
    return found


def parsed(file: Path) -> Any:
    """A file's JSON; objects as lists of pairs, so that a name that is there twice is seen. Raises SpecError."""
    try:
        return json.loads(list_text(file), object_pairs_hook=JsonPairs)
    except (ValueError, RecursionError) as error:
        raise SpecError("cannot parse annotations", written=file.name, got=excerpt(str(error)), want="JSON") from None


class JsonPairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs."""


def annotated(name: str, record: Any, file: Path) -> AnnotatedVideo:
    """A video; the first thing that is wrong with it is its fault."""
    fields = dict(record) if isinstance(record, JsonPairs) else {}
    listed = fields.get("annotations", [])
    segments, faults = [], []
    for i, one in enumerate(listed if isinstance(listed, list) and not isinstance(listed, JsonPairs) else [None]):
        part = dict(one) if isinstance(one, JsonPairs) else {}
        pair, label = part.get("segment"), part.get("label")
        if isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) and isinstance(label, str):
            segments.append((float(pair[0]), float(pair[1]), label))
        else:
            faults.append(f"{file.name}, {name}, annotation {i}: no segment [start, end] with a label")
    duration = duration_of(fields)
    if ("duration" in fields or "duration_second" in fields) and not 0 < (duration or 0.0) < math.inf:
        faults.append(f"{file.name}, {name}: no duration above 0")
    subset = str(fields.get("subset", file.stem)).lower()
    return AnnotatedVideo(name, duration, tuple(segments), subset, faults[0] if faults else "")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def duration_of(fields: Mapping[str, Any]) -> float | None:
    """Seconds that the features of a video span: of BSN's files the part that whole features cover."""
    seconds = fields.get("duration", fields.get("duration_second"))
    if not is_number(seconds):
        return None
    frames, covered = fields.get("duration_frame"), fields.get("feature_frame")
    if is_number(frames) and is_number(covered) and frames > 0:
        return float(seconds) * covered / frames
    return float(seconds)


def thumos_videos(files: list[Path], split: str) -> tuple[list[AnnotatedVideo], set[str]]:
    """(videos of a split, classes of all) of a file for each class. Raises SpecError by file and line."""
    wanted = "val" if split == "train" else "test"
    lines: list[tuple[str, str, str]] = []
    classes = set()
    for file in files:
        match = THUMOS_FILE.fullmatch(file.name)
        assert match
        name, part = match["name"], match["split"]
        classes |= {name} - {AMBIGUOUS}
        if part == wanted:
            numbered = enumerate(list_text(file).splitlines(), 1)
            lines += [(f"{file.name}:{i}", line, name) for i, line in numbered if line.strip()]
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    labels = iter([name for _, _, name in lines])
    for video, start, end in parse_each([(where, line) for where, line, _ in lines], thumos_line):
        found[video].append((start, end, next(labels)))
    return [AnnotatedVideo(video, None, tuple(segments)) for video, segments in sorted(found.items())], classes


def thumos_line(where: str, line: str) -> tuple[str, float, float]:
    """`video_validation_0000266  72.8 76.4`. Raises SpecError."""
    parts = line.split()
    try:
        video, start, end = parts[0], float(parts[1]), float(parts[2])
    except (IndexError, ValueError):
        start = end = math.nan
        video = ""
    if len(parts) != 3 or not 0 <= start < end < math.inf:
        raise SpecError("cannot parse segment", got=excerpt(line), want="video_validation_0000266  72.8 76.4")
    return video, start, end
