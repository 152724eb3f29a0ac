"""Modules that remember a stream. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Held(nn.Module):
    """Holds something between the frames of a stream; a clip by itself has nothing before it and leaves nothing."""

    of_clips = False
    """Whether it is what clips leave to the next, not frames."""
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


def check_state(state: dict[str, tuple[Tensor, ...]], names: set[str], clips: int) -> None:
    """Refuse a state that no step of this network gave, or one of another number of clips."""
    if not isinstance(state, dict):
        raise TypeError(f"state: expected the dict that the last step gave, got {type(state).__name__}")
    if state and (differing := sorted(state.keys() ^ names, key=str)):
        raise ValueError(f"state: expected what the last step of this network gave, got another: {differing[0]!r}")
    if state and state["clips"][0].shape[0] != clips:
        raise ValueError(f"state: expected that of {clips} clips, got {state['clips'][0].shape[0]}")


def streamed(
    network: nn.Module, frames: Tensor | dict[str, Tensor], state: dict[str, tuple[Tensor, ...]]
) -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:
    """What a network gives for further frames, and the state after them; an empty state begins a stream.

    `clips` of the state is empty: its rows are the clips that the state is of.
    """
    parts = {name: part for name, part in network.named_modules() if isinstance(part, Held)}
    pieces = list(frames.values()) if isinstance(frames, dict) else [frames]
    sizes = [piece.shape[2] for piece in pieces if isinstance(piece, Tensor) and piece.ndim == 5]
    of_clips = any(part.of_clips for part in parts.values())
    if not of_clips and any(size != sizes[0] for size in sizes):
        raise ValueError(f"expected as many frames of each clip, got {', '.join(map(str, sizes))}")
    if sizes:  # whatever else is no clip is refused by the network
        check_state(state, {"clips", *parts}, pieces[0].shape[0])
    try:
        network.__dict__["streaming"] = True  # frames are not chosen again
        for name, part in parts.items():
            part.streaming, part.before = True, state.get(name, ())
        outputs = network(frames)
        held = {name: part.after for name, part in parts.items()}
        return outputs, {"clips": (pieces[0].new_empty(pieces[0].shape[0], 0),), **held}
    finally:
        del network.__dict__["streaming"]
        for part in parts.values():
            part.streaming, part.before, part.after = False, (), ()
