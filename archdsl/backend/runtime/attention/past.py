"""Attention to the past of a stream. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.backend.runtime.attention.products import axis_map, axis_rows, weighed
from archdsl.backend.runtime.stream import Held


class CausalAttention(Held):
    """Each frame of q reads k and v of itself and those before it: `frames` at most, or all so far."""

    def __init__(self, heads: int, over: str, frames: int, scale: float, fused: bool = False, share: int = 1) -> None:
        super().__init__()
        self.heads, self.scale, self.over, self.frames = heads, scale, over, frames
        self.fused, self.share = fused, share

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.before:
            k, v = (torch.cat(both, dim=2) for both in zip(self.before, (k, v)))
        if self.streaming:
            first = max(k.shape[2] + 1 - self.frames, 0) if self.frames else 0
            self.after = (k[:, :, first:].clone(), v[:, :, first:].clone())
        mask = self.unread(q, k)
        k, v = (axis_rows(x, self.heads // self.share, self.over) for x in (k, v))
        y = weighed(axis_rows(q, self.heads, self.over), k, v, self.scale, self.fused, self.share, mask)
        return axis_map(y, q, self.heads, self.over)

    def unread(self, q: Tensor, k: Tensor) -> Tensor:
        """-infinity for frames after one's own, and for those too long ago: (queries, keys)."""
        newest, oldest = torch.arange(k.shape[2], device=k.device), k.shape[2] - q.shape[2]
        ago = (newest[:, None] - newest)[oldest:]
        read = (ago >= 0) & (ago < self.frames) if self.frames else ago >= 0
        mask = torch.where(read, 0.0, float("-inf")).to(q.dtype)
        if self.over == "t":
            return mask
        rows, columns = q[0, 0, 0].numel(), k[0, 0, 0].numel()
        return mask.repeat_interleave(rows, dim=0).repeat_interleave(columns, dim=1)
