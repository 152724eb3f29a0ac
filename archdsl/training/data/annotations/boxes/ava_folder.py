"""A folder of AVA: lists of boxes, and videos or folders of pictures that bear the videos' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.annotations.boxes.ava import (
    Key,
    LabelMap,
    read_excluded,
    read_label_map,
    read_predicted_boxes,
    read_true_boxes,
)
from archdsl.training.data.annotations.boxes.key_frame_boxes import KeyFrame, KeyFrames, Person, key_frame_parts
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES
from archdsl.training.data.sources.splits import SPLITS
from archdsl.training.data.sources.videos import Action, VideoEntry

ANNOTATIONS = "annotations"
PLACES = ("videos", "frames", "")
"""Where a video or a folder of its pictures may lie below the folder."""
LAYOUT = (
    "ava_train_v2.2.csv and ava_val_v2.2.csv, ava_action_list_v2.2.pbtxt, videos/ or frames/; lists of excluded "
    "timestamps and of predicted boxes where there are any"
)


@dataclass(frozen=True)
class AvaReading:
    """How a network and its task read the folder."""

    clips: Mapping[str, Clip]
    """Of pictures."""
    sampling: Sampling
    boxes: str
    """Name of the clip of boxes."""
    room: int
    """Boxes that are read."""
    begins: float
    """Second of the movie at which files begin."""
    least_score: float
    """Of predicted boxes."""


@dataclass(frozen=True)
class AvaLists:
    """The lists of a split."""

    true: Path
    predicted: Path | None
    excluded: Path | None
    labels: Path


def ava_folder(root: Path, split: str, reading: AvaReading) -> KeyFrames:
    """The key frames of a split. Raises SpecError with every line that is broken.

    Those to train on have the true boxes, and predicted ones that are labelled; those to test on have predicted boxes
    where there is a list of them. Key frames are those of the list of true boxes, of which some may have none: they
    count in tests, as in the official evaluation, and train nothing.
    """
    if not root.is_dir():
        raise SpecError("no such folder", got=excerpt(str(root)), want=f"motion, or a folder of {LAYOUT}")
    lists = lists_of(root, split)
    labels = read_label_map(lists.labels)
    true = read_true_boxes(lists.true, labels)
    given, training = true, split == "train"
    if lists.predicted:
        predicted = read_predicted_boxes(lists.predicted, labels, reading.least_score)
        given = {key: [*(true[key] if training else ()), *predicted.get(key, ())] for key in true}
    excluded = read_excluded(lists.excluded) if lists.excluded else set()
    keys = sorted(key for key in true if key not in excluded and (given[key] or not training))
    if not keys:
        raise SpecError("no key frames", written=lists.true.name, got=f"{len(true)} key frames", want="boxes of some")
    return key_frames(root, keys, given, true, labels, lists.true.name, reading)


def key_frames(
    root: Path,
    keys: list[Key],
    given: Mapping[Key, list[Person]],
    true: Mapping[Key, list[Person]],
    labels: LabelMap,
    list_name: str,
    reading: AvaReading,
) -> KeyFrames:
    """Clips around key frames."""
    entries: list[VideoEntry] = []
    boxes: list[KeyFrame] = []
    places = {video: named_video(root, video) for video in sorted({video for video, _ in keys})}
    for key in keys:
        video, second = key
        path = places[video]
        fault = "" if path else f"{list_name}: no video or folder of pictures {excerpt(video)} in {root}"
        actions = tuple(Action(i) for i in sorted({i for person in true[key] for i in person.actions}))
        name = f"{video},{second:04d}"
        entry = VideoEntry(path or root / video, name, actions, centre=second - reading.begins, fault=fault)
        parts = key_frame_parts(given.get(key, ()), true[key], reading.room)
        entries += [entry] * len(parts)
        boxes += parts
    return KeyFrames(
        entries=tuple(entries),
        classes=labels.names,
        clips=reading.clips,
        sampling=reading.sampling,
        multi_label=True,
        decoder=decoder_named(None),
        key_frames=tuple(boxes),
        boxes=reading.boxes,
        room=reading.room,
        tested=labels.tested,
    )


def lists_of(root: Path, split: str) -> AvaLists:
    """The lists of a split, in the folder or in its `annotations`. Raises SpecError."""
    folder = root / ANNOTATIONS if (root / ANNOTATIONS).is_dir() else root
    tables = sorted(folder.glob("*.csv"))
    for name in SPLITS[split]:
        mine = [path for path in tables if name in words_of(path)]
        predicted = [path for path in mine if {"predicted", "detection"} & {*words_of(path)}]
        excluded = [path for path in mine if "excluded" in words_of(path)]
        true = [path for path in mine if path not in predicted + excluded]
        if true:
            maps = sorted(folder.glob("*.pbtxt*"))
            # the shorter list of a challenge names the actions that are tested
            maps = [path for path in maps if "activitynet" in path.name] or maps
            if not maps:
                raise SpecError("no list of actions", got=str(folder), want="ava_action_list_v2.2.pbtxt")
            return AvaLists(true[0], only(predicted), only(excluded), maps[-1])
    raise SpecError("not a folder of AVA", got=str(root), want=LAYOUT)


def words_of(path: Path) -> list[str]:
    """The words of a file's name."""
    return path.stem.lower().replace("-", "_").split("_")


def only(paths: list[Path]) -> Path | None:
    """The one of its kind. Raises SpecError for several."""
    if len(paths) > 1:
        raise SpecError("two lists of one kind", got=", ".join(path.name for path in paths[:3]), want="one for a split")
    return paths[0] if paths else None


def named_video(root: Path, video: str) -> Path | None:
    """The file or the folder of pictures of a video; None where there is none."""
    if "/" in video or "\\" in video or "\0" in video or video.startswith("."):
        return None
    for place in PLACES:
        folder = root / place / video
        if folder.is_dir():
            return folder
        for suffix in VIDEO_SUFFIXES:
            if (file := folder.with_name(video + suffix)).is_file():
                return file
    return None
