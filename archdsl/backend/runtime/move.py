"""Means and moves within channels-last maps, which stay so. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.backend.runtime.convolution.conv import clips_of, frames_of
from archdsl.backend.runtime.flows.motion import time_shift


def frames_averaged(
    x: Tensor,
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    padding: tuple[int, int, int] = (0, 0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`F.avg_pool3d` with windows of one frame, over all frames as images."""
    y = F.avg_pool2d(frames_of(x), kernel[1:], stride[1:], padding[1:], ceil_mode, count_include_pad)
    return clips_of(y, x.shape[2])


def shuffled(x: Tensor, groups: int) -> Tensor:
    """The channels of each group in turn."""
    return torch.unflatten(x.movedim(1, -1), -1, (groups, -1)).transpose(-1, -2).flatten(-2).movedim(4, 1)


def shifted(x: Tensor, share: int) -> Tensor:
    """`time_shift`; without gradients each channel is put where it goes, with nothing padded before."""
    if torch.is_grad_enabled():
        return time_shift(x, share)
    fold, y = x.shape[1] // share, torch.empty_like(x)
    y[:, :fold, :-1], y[:, :fold, -1] = x[:, :fold, 1:], 0
    y[:, fold : 2 * fold, 1:], y[:, fold : 2 * fold, 0] = x[:, fold : 2 * fold, :-1], 0
    y[:, 2 * fold :] = x[:, 2 * fold :]
    return y
