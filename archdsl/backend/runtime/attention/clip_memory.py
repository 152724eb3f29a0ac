"""A memory of the clips before. The source of each is put into the emitted file."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.attention.products import attend
from archdsl.backend.runtime.attention.relative import RelativeAttention
from archdsl.backend.runtime.stream import Held


class ClipMemory(Held):
    """The maps of every `gap`-th of the clips before, `clips` at most, then the map; older ones compressed."""

    of_clips = True

    def __init__(
        self,
        clips: int,
        gap: int,
        channels: int,
        size: tuple[int, int, int],
        beside: int,
        kernel: tuple[int, int, int] | None = None,
        stride: tuple[int, int, int] = (1, 1, 1),
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.clips, self.gap, self.size, self.beside = clips, gap, size, beside
        self.pool = self.norm = None
        if kernel:
            pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
            self.pool = nn.Conv3d(channels, channels, kernel, stride, pad, groups=channels, bias=False)
            self.norm = nn.LayerNorm(channels, eps)

    def compressed(self, x: Tensor) -> Tensor:
        """What is remembered of a map."""
        if self.pool is None or self.norm is None:
            return x
        tokens, rows = x[..., : self.beside], x[..., self.beside :]
        small = self.pool(rows.flatten(2).unflatten(2, self.size)).flatten(2)[:, :, None, None]
        return self.norm(torch.cat([tokens, small], dim=4).movedim(1, 4)).movedim(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        if not self.streaming or not self.clips:
            return x
        earlier = [*self.before]
        if earlier:
            earlier[-1] = self.compressed(earlier[-1])
        self.after = tuple(one.detach() for one in [*earlier, x][-self.clips * self.gap :])
        return torch.cat([*earlier[len(earlier) % self.gap :: self.gap], x], dim=4 if self.beside else 2)


class MemoryAttention(RelativeAttention, Held):
    """`RelativeAttention` that in a stream reads keys and values of clips before, with tables of its own for these."""

    def __init__(self, memory: tuple[int, int, int], step: int, rows: tuple[int, int, int], **others: Any) -> None:
        super().__init__(**others)
        self.memory, self.step = memory, step
        self.memory_t, self.memory_h, self.memory_w = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(n, self.table_t.shape[1]), std=0.02)) for n in rows
        )

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        bias, each = self.bias(q), self.memory[0] * self.memory[1] * self.memory[2] + self.beside[1]
        if self.streaming and (clips := (k[0, 0].numel() - bias.shape[3]) // each):
            bias = torch.cat([self.memory_bias(q, clips), bias], dim=3)
        return attend(q, k, v, self.heads, self.scale, self.fused, self.share, bias)

    def memory_bias(self, q: Tensor, clips: int) -> Tensor:
        """What is added to the product of each query and remembered key, 0 for tokens beside maps."""
        frames, now = torch.arange(clips * self.memory[0]), torch.arange(self.queries[0])
        t = self.memory_t[now[:, None] + (frames.flip(0) * self.step)]
        tables = (self.memory_h, self.memory_w)
        sizes = (max(pair) for pair in zip(self.queries[1:], self.memory[1:]))
        h, w = (self.rows(*axis) for axis in zip(tables, sizes, self.queries[1:], self.memory[1:]))
        bias = self.placed(q, t, h, w).unflatten(3, (clips, -1))
        return F.pad(bias, (self.beside[1], 0)).flatten(3)
