"""What is asked of a subject: a target, the layers that are shown, the clips; and what a method gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.training.data.clips import Videos
from archdsl.visualization.subject import ShownClip, Subject, clips_of_data

Track = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""The same things one after the other, under a progress bar of a length and a title."""
MOST_BLOCKS_BEFORE = 8
"""Values before the last one that are tried where no gradient reaches the map at the end, as beside a class token."""


class Picture(NamedTuple):
    """A moving picture, or a still one of one frame."""

    name: str
    """Of its file."""
    caption: str
    frames: Tensor
    """(3, t, h, w) uint8"""


class Section(NamedTuple):
    """What a method gives."""

    pictures: tuple[Picture, ...]
    numbers: dict[str, Tensor]
    """What the pictures show, for npz."""
    text: str = ""
    """What is said above the pictures."""
    drawings: tuple[str, ...] = ()
    """SVG."""


class VisualTarget(NamedTuple):
    """A channel of the value at an address: of the scores a class."""

    at: str
    channel: int | None = None
    """None for the strongest of the clip."""

    def strengths(self, subject: Subject, values: dict[str, Tensor]) -> Tensor:
        """The mean of each channel over its places.  (n, channels)"""
        return channel_rows(subject.map_of(values[self.at], self.at)).mean(2)

    def title(self, subject: Subject, channel: int) -> str:
        """In words."""
        return subject.classes[channel] if self.at == subject.scores else f"channel {channel} of {self.at}"


def channel_rows(value: Tensor) -> Tensor:
    """The channels of a value, all places in a row.  (n, c, ...) -> (n, c, places)"""
    return value.reshape(*value.shape[:2], -1).float()


@dataclass
class Request:
    """What all methods read."""

    subject: Subject
    target: VisualTarget
    layers: tuple[str, ...]
    """Addresses of maps that are shown."""
    clips: Sequence[ShownClip]
    data: Videos
    """Where the most activating clips are looked for."""
    track: Track
    count: int = 64
    """Clips of the data that are looked through."""
    top: int = 6
    """Most activating clips, and channels, that are shown."""
    steps: int = 128
    """Of activation maximisation."""
    temporal: tuple[float, ...] = (0.0, 1.0, 10.0)
    """Weights of the variation over time, a clip for each: slower and slower."""
    spatial: float = 1.0
    """Weight of the variation within frames."""
    seed: int = 0
    channels: dict[str, int] = field(default_factory=dict)
    """Clip's name -> its strongest channel, where the target leaves that open."""

    def channel(self, seen: ShownClip) -> int:
        """The target's channel for a clip."""
        if self.target.channel is not None:
            return self.target.channel
        if seen.name not in self.channels:
            with torch.no_grad():
                values = self.subject.values(seen.clips, [self.target.at])
            self.channels[seen.name] = int(self.target.strengths(self.subject, values)[0].argmax())
        return self.channels[seen.name]

    def score(self, values: dict[str, Tensor], channel: int) -> Tensor:
        """What is looked for in each clip.  (n,)"""
        return self.target.strengths(self.subject, values)[:, channel]

    @cached_property
    def survey(self) -> list[tuple[ShownClip, dict[str, Tensor]]]:
        """Clips of the data, without their frames, and the largest and the mean of every channel at each address."""
        at = [*dict.fromkeys([self.target.at, *self.layers])]
        found = []
        made = clips_of_data(self.subject, self.data, self.count)
        for one in self.track(made, min(self.count, len(self.data)), "looking through clips"):
            with torch.no_grad():
                values = self.subject.values(one.clips, at)
            rows = {name: channel_rows(self.subject.map_of(values[name], name))[0].cpu() for name in at}
            kept = {f"max {name}": row.amax(1) for name, row in rows.items()}
            found.append((one._replace(clips={}), kept | {f"mean {name}": row.mean(1) for name, row in rows.items()}))
        if not found:
            raise SpecError("no clip of the data can be read", want="videos", fix="`archdsl data check` says why")
        return found


def target_of(subject: Subject, at: Sequence[str], channel: int | None, class_: str | None) -> VisualTarget:
    """The target that options name. Raises SpecError for a class or a channel that there is not."""
    if class_ is not None:
        if channel is not None:
            want = "--class, or --at and --channel"
            raise SpecError("a class and a channel", got=f"--class {class_} --channel {channel}", want=want)
        return VisualTarget(subject.scores, class_channel(subject, class_))
    if channel is None:
        return VisualTarget(subject.scores)
    if len(at) != 1:
        raise SpecError(
            "a channel of one address",
            got=f"--channel {channel}" + "".join(f" --at {name}" for name in at),
            want="one --at",
            fix=f"--at {(*at, *subject.layers)[0]} --channel {channel}",
        )
    count = subject.plan.shapes[at[0]].c
    if channel >= count:
        raise SpecError(
            "no such channel", at=at[0], got=f"{channel}", want=f"0 to {count - 1}", fix=f"--channel {count - 1}"
        )
    return VisualTarget(at[0], channel)


def class_channel(subject: Subject, text: str) -> int:
    """The channel of a class by its name or its number. Raises SpecError."""
    known = subject.classes
    if text in known:
        return known.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(known):
        return int(text)
    want = listed(known, f"one of {len(known)} classes, or its number from 0 to {len(known) - 1}")
    raise SpecError(f"no class {text!r}", at=subject.scores, got=text, want=want, fix=did_you_mean(text, known))


def wanting_gradients(subject: Subject, seen: ShownClip) -> dict[str, Tensor]:
    """A clip's tensors, those that a gradient can change as leaves."""
    return {name: x.detach().clone().requires_grad_() if name in subject.free else x for name, x in seen.clips.items()}


def gradient_at(score: Tensor, value: Tensor) -> Tensor | None:
    """The gradient of a sum of scores at a value; None where none reaches it, or where it is 0 everywhere."""
    if not score.requires_grad or not value.requires_grad:
        return None
    (found,) = torch.autograd.grad(score.sum(), value, retain_graph=True, allow_unused=True)
    return found if found is not None and bool(found.any()) else None


def layers_of(request: Request) -> tuple[str, ...]:
    """The maps that are shown by default: what the head reads, or the last before it that a gradient reaches.

    Beside a class token the map at the very end is read by nobody.
    """
    subject, one = request.subject, request.clips[0]
    ways = {end: maps_before(subject, end) for end in subject.layers}
    at = [*dict.fromkeys([request.target.at, *(name for way in ways.values() for name in way)])]
    values = subject.values(wanting_gradients(subject, one), at)
    score = request.score(values, request.channel(one))

    def reached(name: str) -> bool:
        found = gradient_at(score, values[name])
        return found is not None and bool(subject.map_of(found, name).any())

    found = [next(filter(reached, way), None) for way in ways.values()]
    return tuple(dict.fromkeys(name for name in found if name))


def maps_before(subject: Subject, end: str) -> list[str]:
    """A map, and the blocks' ends that its main branch passes before it, from the last on."""
    plan, way = subject.plan, [end]
    ends = {ops[-1] for address, ops in plan.within.items() if address in plan.scopes}
    at = end
    while plan.graph.nodes[at].reads and len(way) <= MOST_BLOCKS_BEFORE:
        at = plan.graph.nodes[at].reads[0]
        if at in ends and subject.is_map(at):
            way.append(at)
    return way
