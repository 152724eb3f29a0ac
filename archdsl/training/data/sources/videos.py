"""Videos on disk: files, or folders of pictures, with labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.clip_frames import sample_frames
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.modalities import clip_of_frames, clips_of_pictures, lookahead, sampled_lengths
from archdsl.training.data.reader.backends import Decoder, decode_clip
from archdsl.training.data.reader.frame_index import FrameIndex
from archdsl.training.data.reader.sound import spectrogram_of
from archdsl.training.data.snippets import Snippets
from archdsl.training.data.sources.pictures import PICTURES_FPS, is_of_pictures, read_pictures
from archdsl.training.data.sources.shard_member import ShardMember

NAMES_SHOWN = 5
"""Names in a remark."""


@dataclass(frozen=True)
class Action:
    """A label, and where in the video it holds."""

    label: int
    start: float = 0.0
    end: float = float("inf")


@dataclass(frozen=True)
class VideoEntry:
    """One video: a file, a part of a file or a folder of pictures; its labels; which part of it counts, in seconds."""

    path: Path | ShardMember
    name: str
    actions: tuple[Action, ...]
    start: float = 0.0
    end: float = float("inf")
    centre: float | None = None
    """The time of a key frame."""
    frames: tuple[int, int] | None = None
    """Of a folder of pictures: the first that counts, and how many do."""
    fault: str = ""
    """Why no file is known, by the line of the list that names it."""
    index: FrameIndex | None = None
    """Where the frames of its file are, if that is known."""


@dataclass(frozen=True)
class Files:
    """Labelled videos of files, as one arch and one recipe see them."""

    entries: tuple[VideoEntry, ...]
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    sampling: Sampling
    multi_label: bool = False
    decoder: Decoder = "pyav"
    snippets: Mapping[str, tuple[Snippets, ...]] = field(default_factory=dict)
    """Positions in each clip that a network with segments reads."""
    frames_read: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Positions in each clip that are read at all, and decoded; all where none are given."""
    left_out: tuple[str, ...] = ()
    """Files in class folders without a video suffix."""

    def __len__(self) -> int:
        return len(self.entries)

    def remarks(self) -> Iterator[str]:
        """Messages about what is not read: files without a video suffix, missing files of a list."""
        if self.left_out:
            yield f"left out, not a video's ending or in no class's folder: {summarize_names(self.left_out)}"
        if missing := [f"{one.name} ({one.fault})" for one in self.entries if one.fault]:
            yield f"named in a list and not there: {summarize_names(missing)}"

    def name(self, index: int) -> str:
        """As the list of videos has it."""
        return self.entries[index].name

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes of a video, each once."""
        return tuple(sorted({action.label for action in self.entries[index].actions}))

    def identifier(self, index: int) -> str:
        """Its name, its labels and the part of it that counts."""
        entry = self.entries[index]
        return f"{entry.name} {entry.actions} {entry.start} {entry.end} {entry.centre}" + (
            f" {entry.frames}" if entry.frames else ""
        )

    def read(self, index: int, request: ClipRequest) -> Sample:
        """One clip of one video. Raises Unreadable."""
        entry = self.entries[index]
        if entry.fault:
            raise Unreadable(entry.name, entry.fault)
        request = request._replace(centre=entry.centre if request.centre is None else request.centre)
        sampled: dict[str, list[int]] = {}
        frames_by_clip: dict[str, list[int]] = {}

        def wanted(found: FrameIndex) -> list[int]:
            sampled.update(self.sampled_frames(entry, request, found))
            for name in clips_of_pictures(self.clips):
                frames = sampled[name]
                frames_by_clip[name] = [frames[i] for i in self.frames_read.get(name, range(len(frames)))]
            return self.needed_frames(frames_by_clip, frame_range(entry, found)[1])

        if is_of_pictures(entry.path):
            pictures, found = read_pictures(entry.path, entry.name, wanted, self.sampling.fps or PICTURES_FPS)
        else:
            pictures, found = decode_clip(entry.path, entry.name, wanted, self.decoder, entry.index)
        last = frame_range(entry, found)[1]
        place = {frame: i for i, frame in enumerate(self.needed_frames(frames_by_clip, last))}
        every = [frame for frames_of_clip in sampled.values() for frame in frames_of_clip]
        start, end = found.seconds(min(every)), found.seconds(max(every))
        frames = {
            name: clip_of_frames(pictures, place, frames_by_clip[name], last, clip, entry.path)
            if name in frames_by_clip
            else self.sound(entry, clip, start, end)
            for name, clip in self.clips.items()
        }
        label = self.label(entry, request, start, end)
        return Sample(frames, label, entry.name, start, end, decoded=pictures.shape[1])

    def sound(self, entry: VideoEntry, clip: Clip, start: float, end: float) -> Tensor:
        """The sound around the middle of what is seen, at the clip's rate. Raises Unreadable."""
        if is_of_pictures(entry.path):
            raise Unreadable(entry.name, "no sound: pictures")
        step = 1 / float(clip.fps) if clip.fps else (end - start) / max(clip.frames - 1, 1)
        first = (start + end) / 2 - step * (clip.frames - 1) / 2
        return spectrogram_of(entry.path, entry.name, [first + step * i for i in range(clip.frames)], clip.shape.w)

    def sampled_frames(self, entry: VideoEntry, request: ClipRequest, found: FrameIndex) -> dict[str, list[int]]:
        """Clip name -> the frames of the video that are the clip's. Raises Unreadable."""
        first, last = frame_range(entry, found)
        times = found.between(first, last) if self.sampling.fps else ()
        return {
            name: [
                first + frame
                for frame in sample_frames(
                    self.sampling,
                    request,
                    length,
                    last - first,
                    found.fps,
                    snippets=self.snippets.get(name, ()),
                    times=times,
                )
            ]
            for name, length in sampled_lengths(self.clips, found.fps).items()
        }

    def needed_frames(self, frames_by_clip: Mapping[str, list[int]], last: int) -> list[int]:
        """All frames to decode, once each: flow and differences also need later ones. For sound alone one is enough."""
        reaches = {name: lookahead(clip) for name, clip in clips_of_pictures(self.clips).items()}
        return sorted(
            {0}
            if not reaches
            else {
                min(frame + i, last - 1)
                for name, frames in frames_by_clip.items()
                for frame in frames
                for i in range(reaches[name] + 1)
            }
        )

    def label(self, entry: VideoEntry, request: ClipRequest, start: float, end: float) -> Tensor:
        """The class; of several labels those that hold within the clip in training, in the whole video in tests."""
        if not self.multi_label:
            return torch.tensor(entry.actions[0].label)
        seen = torch.zeros(len(self.classes))
        for action in entry.actions:
            if not request.training or (action.start <= end and action.end >= start):
                seen[action.label] = 1
        return seen

    @cached_property
    def counts(self) -> dict[str, int]:
        """Class -> videos that have it."""
        counts = dict.fromkeys(self.classes, 0)
        for index in range(len(self)):
            for label in self.labels(index):
                counts[self.classes[label]] += 1
        return counts


def summarize_names(names: Sequence[str]) -> str:
    """How many there are, and the first few."""
    return f"{len(names)}: " + ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def frame_range(entry: VideoEntry, found: FrameIndex) -> tuple[int, int]:
    """First and last (exclusive) frame of the part that counts. Raises Unreadable where it is not in the video."""
    count = len(found.times)
    if entry.frames:
        first, length = entry.frames
        if not length or first >= count:
            raise Unreadable(entry.name, f"no frames {first} to {first + length}: it has {count}")
        return first, min(first + length, count)
    if entry.start <= 0 and entry.end == float("inf"):
        return 0, count
    inside = [i for i in range(count) if entry.start <= found.seconds(i) <= entry.end]
    if not inside:
        raise Unreadable(
            entry.name, f"nothing from {entry.start:g} to {entry.end:g} s: it has {found.seconds(count - 1):g} s"
        )
    return inside[0], inside[-1] + 1
