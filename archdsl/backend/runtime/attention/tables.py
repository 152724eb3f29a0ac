"""Attention in windows whose bias and mask a frozen network makes once. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.backend.runtime.attention.products import weighed
from archdsl.backend.runtime.attention.windows import WindowAttention, parted, window_mask


class TabledWindows(WindowAttention):
    """`WindowAttention`; frozen, a gather reads windows of one mask after those of another, each with one table."""

    frozen = False
    ready: tuple[Tensor, ...] | None = None
    """Of a frozen layer that has seen a clip: positions window by window, then bias and mask of each kind of window."""
    kinds: tuple[int, ...] = ()
    """How many windows there are of each kind."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        made = self.ready is not None or not (torch.compiler.is_compiling() or torch.jit.is_tracing())
        sizes = [parts * n for parts, n in zip(self.count, self.size)]
        if not self.frozen or not made or list(q.shape[2:]) != sizes:
            return super().forward(q, k, v)
        if self.ready is None:
            self.make_ready(q)
        assert self.ready is not None
        order, *tables = self.ready
        parts = [x.movedim(1, -1).flatten(1, 3).index_select(1, order) for x in (q, k, v)]
        each, first = len(order) // sum(self.kinds), 0
        y = torch.empty(q.shape[0], len(order), v.shape[1] * self.share, dtype=q.dtype, device=q.device)
        for count, table in zip(self.kinds, tables):
            last = first + count * each
            rows = [x[:, first:last].unflatten(1, (count, each)).flatten(0, 1) for x in parts]
            heads = (self.heads, self.heads // self.share, self.heads // self.share)
            queries, keys, values = (x.unflatten(2, (n, -1)).transpose(1, 2) for x, n in zip(rows, heads))
            done = weighed(queries, keys, values, self.scale, self.fused, self.share, table).transpose(1, 2)
            y.index_copy_(1, order[first:last], done.flatten(2).unflatten(0, (-1, count)).flatten(1, 2))
            first = last
        return y.unflatten(1, q.shape[2:]).movedim(4, 1)

    @torch.no_grad()
    def make_ready(self, q: Tensor) -> None:
        """Windows in order of their masks, and the sum of bias and mask for each kind."""
        places = torch.arange(q.shape[2] * q.shape[3] * q.shape[4], device=q.device).view(1, *q.shape[2:], 1)
        windows = parted(places.roll([-by for by in self.shift], (1, 2, 3)), self.count).flatten(0, 3).squeeze(-1)
        bias = self.bias().to(q.dtype)
        if not any(self.shift):
            self.kinds, self.ready = (len(windows),), (windows.flatten(), bias.contiguous())
            return
        mask = window_mask(q, self.count, self.size, self.shift)[:, 0]
        distinct, kind = mask.flatten(1).unique(dim=0, return_inverse=True)
        tables = [bias + one.view(mask.shape[1:]) for one in distinct]
        self.kinds = tuple(kind.bincount().tolist())
        self.ready = (windows[kind.argsort(stable=True)].flatten(), *tables)
