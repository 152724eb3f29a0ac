"""Positions as one sequence, in torch. The source of each is put into the emitted file: nothing but torch, nn and F."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.attention.tokens import token_rows
from archdsl.backend.runtime.stream import Held


def sequence_map(rows: Tensor, like: Tensor) -> Tensor:
    """(n, positions, c) -> (n, c, t, h, w) as `like` has them."""
    return rows.mT.unflatten(2, like.shape[2:])


class SequenceConv(Held):
    """A depthwise convolution along all positions, of each and those before it, or in reverse those behind it."""

    def __init__(self, channels: int, kernel: int, reverse: bool = False) -> None:
        super().__init__()
        self.reverse = reverse
        start = kernel**-0.5
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel).uniform_(-start, start))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-start, start))

    def forward(self, x: Tensor) -> Tensor:
        line = x.flatten(2).flip(2) if self.reverse else x.flatten(2)
        channels, _, kernel = self.weight.shape
        count = line.shape[2]
        if self.before:
            line = torch.cat([*self.before, line], dim=2)
        if self.streaming:
            held = F.pad(line, (kernel - 1, 0))
            self.after = (held[:, :, held.shape[2] + 1 - kernel :].clone(),)
        line = F.conv1d(line, self.weight, self.bias, padding=kernel - 1, groups=channels)
        line = line[:, :, line.shape[2] + 1 - kernel - count : line.shape[2] + 1 - kernel]
        rows = line.flip(2).mT if self.reverse else line.mT
        return sequence_map(rows.contiguous(), x)


def states_of(decay: Tensor, entering: Tensor, part: int, first: tuple[Tensor, ...]) -> Tensor:
    """s = decay s + entering, along axis 1: parts of a few positions at once by doubling, then one after the other.

    `first` holds the state before, or nothing: zeros.
    """
    length = decay.shape[1]
    rest = -length % part
    decay = F.pad(decay, (0, 0, 0, 0, 0, rest), value=1.0).unflatten(1, (-1, part))
    entering = F.pad(entering, (0, 0, 0, 0, 0, rest)).unflatten(1, (-1, part))
    step = 1
    while step < part:
        before = F.pad(entering[:, :, :-step], (0, 0, 0, 0, step, 0))
        entering = entering + decay * before
        decay = decay * F.pad(decay[:, :, :-step], (0, 0, 0, 0, step, 0), value=1.0)
        step *= 2
    state, starts = first[0] if first else torch.zeros_like(entering[:, 0, 0]), []
    for last_decay, last in zip(decay[:, :, -1].unbind(1), entering[:, :, -1].unbind(1)):
        starts.append(state)
        state = last_decay * state + last
    return (entering + decay * torch.stack(starts, dim=1)[:, :, None]).flatten(1, 2)[:, :length]


class SelectiveScan(Held):
    """A state of several numbers for each channel along all positions, in single precision at least."""

    def __init__(self, channels: int, states: int, part: int, reverse: bool = False) -> None:
        super().__init__()
        self.part, self.reverse = part, reverse
        self.log_decay = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, steps: Tensor, entries: Tensor, exits: Tensor) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        line, delta, b, c = (token_rows(one).to(wide) for one in (x, F.softplus(steps), entries, exits))
        if self.reverse:
            line, delta, b, c = (one.flip(1) for one in (line, delta, b, c))
        decay = (delta[..., None] * -self.log_decay.to(wide).exp()).exp()
        states = states_of(decay, (delta * line)[..., None] * b[:, :, None], self.part, self.before)
        if self.streaming:
            self.after = (states[:, -1].clone(),)
        y = (states * c[:, :, None]).sum(dim=-1) + line * self.skip.to(wide)
        return sequence_map((y.flip(1) if self.reverse else y).to(x.dtype), x)
