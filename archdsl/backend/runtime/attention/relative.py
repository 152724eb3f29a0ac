"""Relative positions along each axis apart. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.attention.products import attend, head_rows


class RelativeAttention(nn.Module):
    """`attend`, where each query adds to its products with keys those with learnt rows for their distances."""

    def __init__(
        self,
        heads: int,
        channels: int,
        sizes: tuple[int, int, int],
        queries: tuple[int, int, int],
        keys: tuple[int, int, int],
        beside: tuple[int, int],
        scale: float,
        fused: bool = False,
        share: int = 1,
    ) -> None:
        super().__init__()
        self.heads, self.sizes, self.queries, self.keys, self.beside = heads, sizes, queries, keys, beside
        self.scale, self.fused, self.share = scale, fused, share
        self.table_t, self.table_h, self.table_w = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(2 * n - 1, channels), std=0.02)) for n in sizes
        )

    def rows(self, table: Tensor, size: int, queries: int, keys: int) -> Tensor:
        """The row for each query and key along an axis: (queries, keys, channels)."""
        longer = max(queries, keys)
        if size != longer:
            table = F.interpolate(table.T[None], size=2 * longer - 1, mode="linear")[0].T
        q, k = torch.arange(queries), torch.arange(keys)
        steps = q[:, None] * max(keys / queries, 1.0) - (k + (1.0 - keys)) * max(queries / keys, 1.0)
        return table[steps.long()]

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, self.heads, self.scale, self.fused, self.share, self.bias(q))

    def bias(self, q: Tensor) -> Tensor:
        """What is added to the product of each query and key, 0 for tokens beside a map: (n, heads, queries, keys)."""
        tables = (self.table_t, self.table_h, self.table_w)
        t, h, w = (self.rows(*axis) for axis in zip(tables, self.sizes, self.queries, self.keys))
        return F.pad(self.placed(q, t, h, w), (self.beside[1], 0))

    def placed(self, q: Tensor, t: Tensor, h: Tensor, w: Tensor) -> Tensor:
        """Queries with the rows of their distances, 0 for tokens: (n, heads, queries, keys of a map)."""
        at = head_rows(q, self.heads)[:, :, self.beside[0] :].unflatten(2, self.queries)
        by_h = torch.einsum("bythwc,hkc->bythwk", at, h)[..., None, :, None]
        by_w = torch.einsum("bythwc,wkc->bythwk", at, w)[..., None, None, :]
        by_t = at.movedim(2, 0).flatten(1, 4) @ t.mT
        by_t = by_t.unflatten(1, (-1, self.heads, *self.queries[1:])).movedim(0, 2)
        bias = (by_h + by_w + by_t[..., :, None, None]).flatten(5).flatten(2, 4)
        return F.pad(bias, (0, 0, self.beside[0], 0))
