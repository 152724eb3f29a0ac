"""Relative positions along each axis apart. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.attention import head_rows


class RelativePositions(nn.Module):
    """What each query adds to the products with keys at every distance: (n, heads, queries, keys)."""

    def __init__(
        self, channels: int, sizes: tuple[int, int, int], queries: tuple[int, int, int], keys: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.queries, self.keys = queries, keys
        self.table_t, self.table_h, self.table_w = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(2 * n - 1, channels), std=0.02)) for n in sizes
        )

    def rows(self, table: Tensor, queries: int, keys: int) -> Tensor:
        """The row for each query and key along an axis: (queries, keys, channels)."""
        longer = max(queries, keys)
        if len(table) != 2 * longer - 1:
            table = F.interpolate(table.T[None], size=2 * longer - 1, mode="linear")[0].T
        q, k = (torch.arange(n, device=table.device) * (longer / n) for n in (queries, keys))
        return table[(q[:, None] - k + (keys - 1) * (longer / keys)).long()]

    def forward(self, q: Tensor, heads: int, beside: tuple[int, int]) -> Tensor:
        at = head_rows(q, heads)[:, :, beside[0] :].unflatten(2, self.queries)
        tables = (self.table_t, self.table_h, self.table_w)
        t, h, w = (self.rows(*axis) for axis in zip(tables, self.queries, self.keys))
        by_h = torch.einsum("bythwc,hkc->bythwk", at, h)[..., None, :, None]
        by_w = torch.einsum("bythwc,wkc->bythwk", at, w)[..., None, None, :]
        by_t = (at.movedim(2, 0).flatten(1, 4) @ t.mT).unflatten(1, (*at.shape[:2], *at.shape[3:5])).movedim(0, 2)
        bias = (by_h + by_w + by_t[..., :, None, None]).flatten(5).flatten(2, 4)
        return F.pad(bias, (beside[1], 0, beside[0], 0))
