"""Modalities computed from decoded frames: rgb, gray, frame differences, flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.clip import CHANNELS
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.flow import flow_of_pictures
from archdsl.training.data.luma import luma
from archdsl.training.data.sources.pictures import read_picture
from archdsl.training.data.sources.shard_member import ShardMember
from archdsl.training.data.sources.stored_flow import read_stored_flow, stored_flow

VIDEO_MODALITIES = ("rgb", "gray", "rgb_diff", "flow", "audio")
"""Modalities that can be computed from a video."""


def check_modalities(clips: Mapping[str, Clip]) -> None:
    """Raise SpecError for modalities that a video does not have."""
    for name, clip in clips.items():
        channels = clip.shape.c
        no_sound = clip.modality == "audio" and (channels > 1 or clip.shape.h > 1)
        if clip.modality not in VIDEO_MODALITIES or channels % CHANNELS[clip.modality] or no_sound:
            raise SpecError(
                "clip modality not available from videos",
                at=f"clips.{name}",
                written=clip.written,
                got=f"{clip.modality} of {channels} channels",
                want=f"{', '.join(VIDEO_MODALITIES)}, of 3, 1, 3 and 2 channels or a multiple of that; sound of 1 x 1",
            )


def stacked_frames(clip: Clip) -> int:
    """Number of consecutive frames stacked as channels, such as 10 in a flow network of 20 channels.

    Channels of heat-maps are joints.
    """
    return 1 if clip.modality == "heatmaps" else clip.shape.c // CHANNELS[clip.modality]


def lookahead(clip: Clip) -> int:
    """Number of frames needed after a sampled one."""
    return stacked_frames(clip) - 1 + (clip.modality in ("rgb_diff", "flow"))


def clips_of_pictures(clips: Mapping[str, Clip]) -> dict[str, Clip]:
    """The clips that are made of a video's frames: all but those of its sound, and texts."""
    return {name: clip for name, clip in clips.items() if clip.modality not in ("audio", "text")}


def sampled_lengths(clips: Mapping[str, Clip], fps: float) -> dict[str, int]:
    """How many frames each clip samples of a video; sound beside pictures none, sound alone as many as it lasts."""
    pictures = clips_of_pictures(clips)
    if pictures:
        return {name: clip.frames for name, clip in pictures.items()}
    return {name: max(round(clip.frames * fps / float(clip.fps or fps)), 1) for name, clip in clips.items()}


def clips_of_files(
    paths: Sequence[Path], name: str, clips: Mapping[str, Clip]
) -> tuple[dict[str, Tensor], tuple[int, int], int]:
    """(clips of pictures, one for each frame, their (height, width), how many files were read). Raises Unreadable."""
    read = {path: read_picture(path, name, len(paths)) for path in dict.fromkeys(paths)}
    sizes = {(x.shape[1], x.shape[2]) for x in read.values()}
    if len(sizes) > 1:
        raise Unreadable(name, "pictures of different sizes in one clip")
    stacked = torch.stack([*read.values()], dim=1)
    order = {path: i for i, path in enumerate(read)}
    place = {i: order[path] for i, path in enumerate(paths)}
    frames = {key: clip_of_frames(stacked, place, [*place], len(paths), clip, paths[0]) for key, clip in clips.items()}
    return frames, sizes.pop(), len(read)


def clip_of_frames(
    pictures: Tensor, place: Mapping[int, int], frames: Sequence[int], last: int, clip: Clip, video: Path | ShardMember
) -> Tensor:
    """A clip in its modality, from decoded frames.  (3, n, h, w) uint8 -> (c, t, h, w)

    `place` maps a frame's number to its position in `pictures`; beyond the last frame that one is repeated.
    """

    def at(offset: int) -> list[int]:
        return [min(frame + offset, last - 1) for frame in frames]

    def seen(numbers: Iterable[int]) -> Tensor:
        return pictures[:, [place[number] for number in numbers]]

    if clip.modality == "flow":
        if isinstance(video, Path) and video.is_dir() and (stored := stored_flow(video)):
            return torch.cat([read_stored_flow(stored, video.name, at(i)) for i in range(stacked_frames(clip))])
        numbers = range(stacked_frames(clip))
        return torch.cat([flow_of_pairs(seen(at(i)), seen(at(i + 1))) for i in numbers])
    if clip.modality == "rgb_diff":
        return torch.cat([seen(at(i + 1)).float() - seen(at(i)).float() for i in range(stacked_frames(clip))])
    parts = [seen(at(i)) for i in range(stacked_frames(clip))]
    return torch.cat(
        [luma(part.float(), 0).round().to(torch.uint8) if clip.modality == "gray" else part for part in parts]
    )


def flow_of_pairs(now: Tensor, after: Tensor) -> Tensor:
    """Optical flow between frames and those that follow them.  (3, t, h, w) uint8 twice -> (2, t, h, w)"""
    return torch.stack([flow_of_pictures(*pair) for pair in zip(now.unbind(1), after.unbind(1))], dim=1)
