"""Attention over the positions of channels-last maps. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def tokens_of(x: Tensor) -> Tensor:
    """(n, c, t, h, w) -> (n, t h w, c): a view of a channels-last map."""
    return x.permute(0, 2, 3, 4, 1).flatten(1, 3)


def attended(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """The values of all keys by the softmax of their products with each query; the map of them is never whole."""
    q, k, v = (tokens_of(x)[:, None] for x in (queries, keys, values))
    y = F.scaled_dot_product_attention(q, k, v, scale=scale)
    return torch.unflatten(y[:, 0], 1, queries.shape[2:]).movedim(4, 1)


def gathered(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """The values of all keys by their products with each query: keys meet values first, (Q K') V = Q (K' V)."""
    q, k, v = (tokens_of(x) for x in (queries, keys, values))
    return torch.unflatten(q @ (k.mT @ v * scale), 1, queries.shape[2:]).movedim(4, 1)
