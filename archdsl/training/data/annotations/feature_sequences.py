"""Sequences of features on disk, CSV or .npy: whole videos at a fixed number of positions, or windows of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.spec.files import read_bytes
from archdsl.training.data.annotations.time_segments import (
    TimedSegment,
    TrueSegments,
    true_segments,
    window_targets,
)
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable, Videos
from archdsl.training.data.random_numbers import random_below

FEATURE_SUFFIXES = (".csv", ".npy")
MAX_FEATURE_BYTES = 1 << 31


@runtime_checkable
class Localised(Videos, Protocol):
    """Videos, or windows of videos, with what happens when."""

    def video(self, index: int) -> str:
        """The video that a window is of."""

    def truth_of_video(self, index: int) -> TrueSegments:
        """What happens in that video, in seconds."""


@dataclass(frozen=True)
class SequenceEntry:
    """A video with its features, or a window of it."""

    video: str
    files: Mapping[str, Path]
    """Clip name -> its file."""
    segments: tuple[TimedSegment, ...]
    duration: float
    """Of the video in seconds."""
    first: int | None = None
    """Of a window its first position; None for the whole video."""
    fault: str = ""
    """Why it cannot be read, by the annotations."""


@dataclass(frozen=True)
class FeatureSequences:
    """Videos of a split as clips of features. Targets: see `window_targets`."""

    entries: tuple[SequenceEntry, ...]
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    left_out: tuple[str, ...] = ()
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.entries)

    def video(self, index: int) -> str:
        """The video that a window is of."""
        return self.entries[index].video

    def name(self, index: int) -> str:
        """The video, and where a window of it begins."""
        one = self.entries[index]
        return one.video if one.first is None else f"{one.video}@{one.first}"

    def truth_of_video(self, index: int) -> TrueSegments:
        """What happens in the whole video."""
        return true_segments(self.entries[index].segments)

    def read(self, index: int, request: ClipRequest) -> Sample:
        """One window; in training it begins up to half a window later or earlier. Raises Unreadable."""
        entry, name = self.entries[index], self.name(index)
        if entry.fault:
            raise Unreadable(name, entry.fault)
        rows = {key: read_feature_rows(entry.files[key], name, clip.shape.c) for key, clip in self.clips.items()}
        if len({len(one) for one in rows.values()}) > 1:
            counts = ", ".join(f"{entry.files[key].name} {len(one)}" for key, one in rows.items())
            raise Unreadable(name, f"features of different lengths: {counts}")
        clip = next(iter(self.clips.values()))
        if entry.first is None or not clip.fps:
            start, seconds = 0.0, entry.duration
            shown = {key: resized_rows(one, clip.frames) for key, one in rows.items()}
        else:
            first = self.jittered(entry.first, len(next(iter(rows.values()))), clip.frames, request)
            start, seconds = first / float(clip.fps), clip.frames / float(clip.fps)
            shown = {key: window_of(one, first, clip.frames) for key, one in rows.items()}
        frames = {key: one.T[:, :, None, None].contiguous() for key, one in shown.items()}
        targets = window_targets(entry.segments, start, seconds)
        return Sample(frames, targets, name, start, start + seconds)

    def jittered(self, first: int, rows: int, frames: int, request: ClipRequest) -> int:
        """Where a window begins."""
        if not request.training or rows <= frames:
            return first
        moved = first + random_below(frames, Random(f"{request.seed} window")) - frames // 2
        return min(max(moved, 0), rows - frames)


def resized_rows(rows: Tensor, count: int) -> Tensor:
    """As many rows over the whole length, linearly between those there are.  (n, c) -> (count, c)"""
    if len(rows) == count:
        return rows
    places = ((torch.arange(count) + 0.5) * len(rows) / count - 0.5).clamp(0, len(rows) - 1)
    low = places.floor().long().clamp(max=max(len(rows) - 2, 0))
    share = (places - low)[:, None]
    return rows[low] * (1 - share) + rows[(low + 1).clamp(max=len(rows) - 1)] * share


def window_of(rows: Tensor, first: int, count: int) -> Tensor:
    """Rows from one on; zeros behind the last.  (n, c) -> (count, c)"""
    part = rows[first : first + count]
    return torch.cat([part, part.new_zeros(count - len(part), rows.shape[1])])


def feature_files(folder: Path, clips: Mapping[str, Clip]) -> Iterator[tuple[str, str, Path]]:
    """(clip name, video, file) of a folder's features; of several clips those below a folder of the clip's name.

    The folder may bear the first word of it: `rgb` for `rgb_features`.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix not in FEATURE_SUFFIXES or not path.is_file():
            continue
        above = path.relative_to(folder).parts[:-1]
        for name in clips:
            if len(clips) == 1 or {name, name.partition("_")[0]} & {*above}:
                yield name, path.stem, path


def windows_over(entry: SequenceEntry, rows: int, clip: Clip) -> Iterator[SequenceEntry]:
    """A video as windows of the clip's length that overlap by half; the last ends where the video does."""
    last = max(rows - clip.frames, 0)
    for first in [*range(0, last, max(clip.frames // 2, 1)), last]:
        yield replace(entry, first=first)


def row_count(path: Path) -> int:
    """How many rows a file of features has. Raises Unreadable."""
    if path.suffix == ".npy":
        return len(read_feature_rows(path, path.stem, None))
    return max(sum(1 for line in file_bytes(path, path.stem).splitlines() if line.strip()) - 1, 0)


def file_bytes(path: Path, name: str) -> bytes:
    """A file. Raises Unreadable."""
    try:
        return read_bytes(path, MAX_FEATURE_BYTES)
    except SpecError as error:
        raise Unreadable(name, f"{path.name}: {error.faults[0].got}") from None


def read_feature_rows(path: Path, name: str, channels: int | None) -> Tensor:
    """The rows of a file, one for each position.  (positions, channels). Raises Unreadable."""
    data = file_bytes(path, name)
    rows = array_rows(data, path, name) if path.suffix == ".npy" else csv_rows(data, path, name)
    if channels is not None and rows.shape[1] != channels:
        turned = ": its axes may be turned" if rows.shape[0] == channels else ""
        raise Unreadable(name, f"{path.name} has {rows.shape[1]} numbers a position, the clip {channels}{turned}")
    if not len(rows):
        raise Unreadable(name, f"{path.name} has no positions")
    if not rows.isfinite().all():
        row = int((~rows.isfinite()).any(1).nonzero()[0])
        raise Unreadable(name, f"{path.name} has NaN or infinity at position {row}")
    return rows


def array_rows(data: bytes, path: Path, name: str) -> Tensor:
    """An array of numpy's.  (positions, channels)"""
    try:
        found = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise Unreadable(name, f"{path.name} is no .npy file: {error}") from None
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise Unreadable(name, f"{path.name} has numbers of {found.dtype}, shape {found.shape}: (positions, channels)")
    return torch.from_numpy(found.astype(np.float32))


def csv_rows(data: bytes, path: Path, name: str) -> Tensor:
    """A head and a row for each position.  (positions, channels)"""
    lines = data.decode("utf-8", "replace").splitlines()
    rows: list[list[float]] = []
    width = len(lines[0].split(",")) if lines else 0
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split(",")
        if len(cells) != width:
            raise Unreadable(name, f"{path.name}:{number} has {len(cells)} numbers, its head {width}")
        rows.append([cell_number(cell, f"{path.name}:{number}", name) for cell in cells])
    return torch.tensor(rows, dtype=torch.float32).view(len(rows), width)


def cell_number(cell: str, where: str, name: str) -> float:
    """A number of a cell. Raises Unreadable."""
    try:
        value = float(cell)
    except ValueError:
        raise Unreadable(name, f"{where} has no number: {cell[:20]!r}") from None
    if not math.isfinite(value):
        raise Unreadable(name, f"{where} has {cell.strip()}")
    return value
