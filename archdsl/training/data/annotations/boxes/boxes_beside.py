"""A file to predict, with boxes in a list beside it or else one box of the whole frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archdsl.training.data.annotations.boxes.ava import LabelMap, read_predicted_boxes
from archdsl.training.data.annotations.boxes.ava_folder import AvaReading
from archdsl.training.data.annotations.boxes.key_frame_boxes import KeyFrame, KeyFrames, Person, key_frame_parts
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.reader.watchdog import run_watched
from archdsl.training.data.sources.one_video import read_index
from archdsl.training.data.sources.videos import VideoEntry

ENDING = ".boxes.csv"
WHOLE = Person((0.0, 0.0, 1.0, 1.0))
NO_ACTIONS = LabelMap((), ())


def file_with_boxes(path: Path, reading: AvaReading) -> KeyFrames:
    """Key frames of a file: those of `NAME.boxes.csv` beside it, else one each second with a box of the whole frame.

    The list has AVA's columns, seconds of the file itself, and boxes of this file alone. Raises Unreadable, SpecError.
    """
    try:
        index = run_watched(lambda: read_index(path))
    except TimeoutError as error:
        raise Unreadable(str(path), str(error)) from None
    beside = path.with_name(path.stem + ENDING)
    if beside.is_file():
        boxes = read_predicted_boxes(beside, NO_ACTIONS, reading.least_score)
        found = {second: persons for (_, second), persons in sorted(boxes.items()) if persons}
        if not found:
            raise Unreadable(str(path), f"{beside.name} has no box of a score of {reading.least_score:g} or more")
    else:
        last = int(index.seconds(len(index.times) - 1))
        found = {second: [WHOLE] for second in range(last + 1)}
    key_frames: list[KeyFrame] = []
    entries: list[VideoEntry] = []
    one = VideoEntry(path, str(path), (), index=index)
    for second, persons in found.items():
        parts = key_frame_parts(persons, (), reading.room)
        key_frames += parts
        entries += [replace(one, centre=float(second))] * len(parts)
    return KeyFrames(
        entries=tuple(entries),
        classes=(),
        clips=reading.clips,
        sampling=reading.sampling,
        multi_label=True,
        decoder=decoder_named(None),
        key_frames=tuple(key_frames),
        boxes=reading.boxes,
        room=reading.room,
    )
