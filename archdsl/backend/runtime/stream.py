"""Modules that remember a stream. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Held(nn.Module):
    """Holds something between the frames of a stream; a clip by itself has nothing before it and leaves nothing."""

    streaming = False
    before: tuple[Tensor, ...] = ()
    after: tuple[Tensor, ...] = ()


class Past(Held):
    """The frames that came before, then the map."""

    def __init__(self, frames: int, lowest: bool = False) -> None:
        super().__init__()
        self.frames, self.fill = frames, float("-inf") if lowest else 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = torch.cat([*self.before, x], dim=2)
        else:
            x = F.pad(x, (0, 0, 0, 0, self.frames, 0), value=self.fill)
        if self.streaming:
            self.after = (x[:, :, -self.frames :].clone(),)
        return x


class PastShift(Held):
    """One channel in `share` from the frame before."""

    def __init__(self, share: int) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        fold = x.shape[1] // self.share
        moved = x[:, :fold]
        if self.streaming:
            self.after = (moved[:, :, -1:].clone(),)
        first = self.before[0] if self.before else torch.zeros_like(moved[:, :, :1])
        return torch.cat([torch.cat([first, moved[:, :, :-1]], dim=2), x[:, fold:]], dim=1)


class MeanSoFar(Held):
    """Each frame the mean of all frames up to it."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.cumsum(dim=2)
        count = torch.arange(1, x.shape[2] + 1, device=x.device)
        if self.before:
            total, count = total + self.before[0], count + self.before[1]
        if self.streaming:
            self.after = (total[:, :, -1:].clone(), count[-1:])
        return total / count[:, None, None]


def streamed(
    network: nn.Module, frames: Tensor | dict[str, Tensor], state: dict[str, tuple[Tensor, ...]]
) -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:
    """What a network gives for further frames, and the state after them; an empty state begins a stream."""
    parts = {name: part for name, part in network.named_modules() if isinstance(part, Held)}
    try:
        network.__dict__["streaming"] = True  # frames are not chosen again
        for name, part in parts.items():
            part.streaming, part.before = True, state.get(name, ())
        return network(frames), {name: part.after for name, part in parts.items()}
    finally:
        del network.__dict__["streaming"]
        for part in parts.values():
            part.streaming, part.before, part.after = False, (), ()
