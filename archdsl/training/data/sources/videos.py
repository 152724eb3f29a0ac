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
from archdsl.training.data.clips import Sample, Take, Unreadable
from archdsl.training.data.modalities import maps_of, reach_of
from archdsl.training.data.reader.decoder import Decoder, Index, clip_of
from archdsl.training.data.sampling import chosen_frames
from archdsl.training.data.snippets import Snippets
from archdsl.training.data.sources.pictures import FPS, pictures_of
from archdsl.training.data.sources.shard_member import Part

FEW = 5
"""Names in a remark."""


@dataclass(frozen=True)
class Action:
    """A label, and where in the video it holds."""

    label: int
    start: float = 0.0
    end: float = float("inf")


@dataclass(frozen=True)
class Entry:
    """One video: a file, a part of a file or a folder of pictures; its labels; which part of it counts, in seconds."""

    path: Path | Part
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
    index: Index | None = None
    """Where the frames of its file are, if that is known."""


@dataclass(frozen=True)
class Files:
    """Labelled videos of files, as one arch and one recipe see them."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    sampling: Sampling
    several: bool = False
    decoder: Decoder = "pyav"
    snippets: Mapping[str, tuple[Snippets, ...]] = field(default_factory=dict)
    """Where in each clip a network that reads segments finds them."""
    left_out: tuple[str, ...] = ()
    """Files in classes' folders whose endings are of no video."""

    def __len__(self) -> int:
        return len(self.entries)

    def remarks(self) -> Iterator[str]:
        """What is not read: files of unknown endings, lines of a list that name no file."""
        if self.left_out:
            yield f"left out, not a video's ending or in no class's folder: {some(self.left_out)}"
        if missing := [f"{one.name} ({one.fault})" for one in self.entries if one.fault]:
            yield f"named in a list and not there: {some(missing)}"

    def name(self, index: int) -> str:
        """As the list of videos has it."""
        return self.entries[index].name

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes of a video, each once."""
        return tuple(sorted({action.label for action in self.entries[index].actions}))

    def known_as(self, index: int) -> str:
        """Its name, its labels and the part of it that counts."""
        entry = self.entries[index]
        return f"{entry.name} {entry.actions} {entry.start} {entry.end} {entry.centre}" + (
            f" {entry.frames}" if entry.frames else ""
        )

    def read(self, index: int, take: Take) -> Sample:
        """One clip of one video. Raises Unreadable."""
        entry = self.entries[index]
        if entry.fault:
            raise Unreadable(entry.name, entry.fault)
        take = take._replace(centre=entry.centre if take.centre is None else take.centre)
        chosen: dict[str, list[int]] = {}

        def wanted(found: Index) -> list[int]:
            first, last = within(entry, found)
            times = found.between(first, last) if self.sampling.fps else ()
            for name, clip in self.clips.items():
                snippets = self.snippets.get(name, ())
                length = last - first
                frames = chosen_frames(
                    self.sampling, take, clip.frames, length, found.fps, snippets=snippets, times=times
                )
                chosen[name] = [first + frame for frame in frames]
            return self.used(chosen, last)

        if isinstance(entry.path, Path) and entry.path.is_dir():
            pictures, found = pictures_of(entry.path, entry.name, wanted, self.sampling.fps or FPS)
        else:
            pictures, found = clip_of(entry.path, entry.name, wanted, self.decoder, entry.index)
        last = within(entry, found)[1]
        place = {frame: i for i, frame in enumerate(self.used(chosen, last))}
        frames = {
            name: maps_of(pictures, place, chosen[name], last, clip, entry.path) for name, clip in self.clips.items()
        }
        every = [frame for places in chosen.values() for frame in places]
        start, end = found.seconds(min(every)), found.seconds(max(every))
        return Sample(frames, self.label(entry, take, start, end), entry.name, start, end)

    def used(self, chosen: Mapping[str, list[int]], last: int) -> list[int]:
        """Every frame that is needed, once: flow and differences need those that follow too."""
        reaches = {name: reach_of(clip) for name, clip in self.clips.items()}
        return sorted(
            {
                min(frame + i, last - 1)
                for name, frames in chosen.items()
                for frame in frames
                for i in range(reaches[name] + 1)
            }
        )

    def label(self, entry: Entry, take: Take, start: float, end: float) -> Tensor:
        """The class; of several labels those that hold within the clip in training, in the whole video in tests."""
        if not self.several:
            return torch.tensor(entry.actions[0].label)
        seen = torch.zeros(len(self.classes))
        for action in entry.actions:
            if not take.training or (action.start <= end and action.end >= start):
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


def some(names: Sequence[str]) -> str:
    """How many there are, and the first few."""
    return f"{len(names)}: " + ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "")


def within(entry: Entry, found: Index) -> tuple[int, int]:
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
