"""Motion between frames that torch lacks. The source of each is put into the emitted file: only torch, nn, F, math."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def later(x: Tensor) -> Tensor:
    """(n, c, t, h, w): every frame replaced by the next one, the last by zeros."""
    return F.pad(x[:, :, 1:], (0, 0, 0, 0, 0, 1))


def earlier(x: Tensor) -> Tensor:
    """(n, c, t, h, w): every frame replaced by the one before, the first by zeros."""
    return F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0))


def time_shift(x: Tensor, share: int) -> Tensor:
    """One channel in `share` from the next frame, as many from the one before."""
    fold = x.shape[1] // share
    ahead, behind, stay = x[:, :fold], x[:, fold : 2 * fold], x[:, 2 * fold :]
    return torch.cat([later(ahead), earlier(behind), stay], dim=1)


def past_shift(x: Tensor, share: int) -> Tensor:
    """One channel in `share` from the frame before."""
    fold = x.shape[1] // share
    return torch.cat([earlier(x[:, :fold]), x[:, fold:]], dim=1)


def step_ahead(x: Tensor, y: Tensor) -> Tensor:
    """The next frame of y minus this one of x; zeros at the end."""
    return F.pad(y[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 0, 0, 1))


def step_back(x: Tensor, y: Tensor) -> Tensor:
    """The frame of y before minus this one of x; zeros at the start."""
    return F.pad(y[:, :, :-1] - x[:, :, 1:], (0, 0, 0, 0, 1, 0))


def set_frame(x: Tensor, frame: int, value: float) -> Tensor:
    """The map with one frame overwritten."""
    chosen = torch.arange(x.shape[2], device=x.device) == frame % x.shape[2]
    return x.masked_fill(chosen[:, None, None], value)


def own_time_conv(x: Tensor, kernels: Tensor) -> Tensor:
    """Each channel of each clip convolved in time with its own kernel (n, c, k, 1, 1)."""
    n, c, t, h, w = x.shape
    k = kernels.shape[2]
    y = F.conv2d(x.reshape(1, n * c, t, h * w), kernels.reshape(n * c, 1, k, 1), padding=(k // 2, 0), groups=n * c)
    return y.view(n, c, t, h, w)


def own_time_shift(x: Tensor, offsets: Tensor) -> Tensor:
    """y_t = x_(t - offset) for each group of channels, linear between frames; offsets (n, groups, 1, 1, 1)."""
    n, c, t, h, w = x.shape
    groups = offsets.shape[1]
    parts, first = x.reshape(n, groups, c // groups, t, h * w), offsets.floor()
    between = (offsets - first).view(n, groups, 1, 1, 1)
    total = torch.zeros_like(parts)
    for more, weight in ((0, 1 - between), (1, between)):
        frames = torch.arange(t, device=x.device) - first.view(n, groups, 1).long() - more
        there = ((frames >= 0) & (frames < t)).view(n, groups, 1, t, 1)
        index = frames.clamp(0, t - 1).view(n, groups, 1, t, 1).expand_as(parts)
        total = total + parts.gather(3, index) * (weight * there)
    return total.view(n, c, t, h, w)


class FrameTuples(nn.Module):
    """Choices of `size` of the frames, side by side as channels: at random in training, else spread evenly."""

    def __init__(self, frames: int, size: int, count: int) -> None:
        super().__init__()
        tuples: list[tuple[int, ...]] = [()]
        for frame in range(frames):
            tuples += [(*few, frame) for few in tuples if len(few) < size]
        self.tuples = sorted(few for few in tuples if len(few) == size)
        self.count = min(count, len(self.tuples))

    def forward(self, x: Tensor) -> Tensor:
        gaps, last = max(self.count - 1, 1), len(self.tuples) - 1
        drawn = torch.randperm(last + 1)[: self.count].tolist() if self.training else []
        chosen = drawn or [i * last // gaps for i in range(self.count)]
        return torch.stack([x[:, :, self.tuples[i]].transpose(1, 2).flatten(1, 2) for i in chosen], dim=2)


def start_as_shift(weight: Tensor, groups: int, share: int) -> None:
    """A depthwise kernel over time starts as a shift: some channels from the next frame, some from the one before."""
    nn.init.dirac_(weight, groups)
    fold = weight.shape[0] // share
    weight.data[:fold] = weight.data[:fold].roll(1, 2)
    weight.data[fold : 2 * fold] = weight.data[fold : 2 * fold].roll(-1, 2)
