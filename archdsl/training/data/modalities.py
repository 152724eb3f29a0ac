"""What a clip is made of: pixels, or what changes between frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.clip import CHANNELS
from archdsl.training.data.flow import Flows
from archdsl.training.data.sources.shard_member import Part

SEEN = ("rgb", "gray", "rgb_diff", "flow")
"""Modalities that can be made of a video."""


def check_modalities(clips: Mapping[str, Clip]) -> None:
    """Raise SpecError for clips that are not made of a video's pictures."""
    for name, clip in clips.items():
        channels = clip.shape.c
        if clip.modality not in SEEN or channels % CHANNELS[clip.modality]:
            raise SpecError(
                "a clip that videos do not hold",
                at=f"clips.{name}",
                written=clip.written,
                got=f"{clip.modality} of {channels} channels",
                want=f"{', '.join(SEEN)}, of 3, 1, 3 and 2 channels or several of them in a row",
            )


def in_a_row(clip: Clip) -> int:
    """How many consecutive pictures lie side by side as channels, such as the 10 of a flow net of 20 channels."""
    return clip.shape.c // CHANNELS[clip.modality]


def reach_of(clip: Clip) -> int:
    """How many frames after a chosen one are needed."""
    return in_a_row(clip) - 1 + (clip.modality in ("rgb_diff", "flow"))


def maps_of(
    pictures: Tensor, place: Mapping[int, int], frames: Sequence[int], last: int, clip: Clip, video: Path | Part
) -> Tensor:
    """One clip of the frames that were decoded.  (3, n, h, w) uint8 -> (c, t, h, w)

    `place` says where a frame of the video is among the pictures; what lies beyond the last frame is that one again.
    """

    def at(offset: int) -> list[int]:
        return [min(frame + offset, last - 1) for frame in frames]

    def seen(numbers: Iterable[int]) -> Tensor:
        return pictures[:, [place[number] for number in numbers]]

    if clip.modality == "flow":
        flows = Flows.of(video)
        return torch.cat([flow(flows, pictures, place, list(zip(at(i), at(i + 1)))) for i in range(in_a_row(clip))])
    if clip.modality == "rgb_diff":
        return torch.cat([seen(at(i + 1)).float() - seen(at(i)).float() for i in range(in_a_row(clip))])
    parts = [seen(at(i)) for i in range(in_a_row(clip))]
    return torch.cat([luma(part).round().to(torch.uint8) if clip.modality == "gray" else part for part in parts])


def flow(flows: Flows, pictures: Tensor, place: Mapping[int, int], pairs: list[tuple[int, int]]) -> Tensor:
    """What moves between two frames of each pair.  (3, n, h, w) uint8 -> (2, pairs, h, w)"""
    found = [flows.between(pair, *(pictures[:, place[number]] for number in pair)) for pair in pairs]
    return torch.stack(found, dim=1)


def luma(pictures: Tensor) -> Tensor:
    """Brightness (ITU-R BT.601).  (3, ...) -> (1, ...)"""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, *[1] * (pictures.ndim - 1))
    return (pictures.float() * weights).sum(0, keepdim=True)
