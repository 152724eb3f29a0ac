"""The first frames of a video file, centre-cropped: for a look at a network, not for training."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.training.data.reader.decoder import frame_pixels

MEAN, STD = 0.45, 0.225
"""PySlowFast's normalisation of values in [0, 1], in every channel."""


def decode_first(path: Path | str, frames: int) -> Tensor:
    """The first frames of a video file.  (3, frames, height, width), uint8

    Raises ValueError for a file with fewer.
    """
    with av.open(str(path)) as file:
        pictures = [frame_pixels(frame) for frame in islice(file.decode(video=0), frames)]
    if len(pictures) < frames:
        raise ValueError(f"{path} has {len(pictures)} frames, {frames} are needed")
    return torch.stack(pictures, dim=1)


def centre_crop(clip: Tensor, short_side: int, crop: int) -> Tensor:
    """Resize to the short side, centre-crop, normalise.  (3, t, h, w) uint8 -> (3, t, crop, crop)"""
    height, width = clip.shape[2:]
    scale = short_side / min(height, width)
    size = (round(height * scale), round(width * scale))
    pictures = interpolate(clip.transpose(0, 1) / 255, size=size, mode="bilinear", antialias=True)
    top, left = (size[0] - crop) // 2, (size[1] - crop) // 2
    return ((pictures[:, :, top : top + crop, left : left + crop] - MEAN) / STD).transpose(0, 1)
