"""Multi-head attention over positions, axes and frames. The source of each is put into the emitted file."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def head_rows(x: Tensor, heads: int) -> Tensor:
    """(n, c, t, h, w) -> (n, heads, positions, channels of a head): a view of a channels-last map."""
    return x.flatten(2).mT.unflatten(2, (heads, -1)).transpose(1, 2)


def weighed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    fused: bool = False,
    share: int = 1,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    cap: float | None = None,
) -> Tensor:
    """Values by the softmax of scaled products of queries and keys; `share` heads of queries read the same keys.

    Products stay below `cap` where there is one: cap tanh(product / cap).

    `bias` is added to the products of every sequence, `mask` to those of as many sequences as it has, again and again.
    """
    if share > 1:
        k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
    if fused:
        if mask is not None:
            mask = mask.repeat(q.shape[0] // mask.shape[0], 1, 1, 1)
        both = mask if bias is None else bias if mask is None else bias + mask
        if both is not None and both.dim() == 3:  # torch has a kernel for masks of two and of four axes
            both = both[None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=both, scale=scale)
    weights = (q * scale) @ k.mT
    if cap is not None:
        weights = (weights / cap).tanh() * cap
    if bias is not None:
        weights = weights + bias
    if mask is not None:
        weights = (weights.unflatten(0, (-1, mask.shape[0])) + mask).flatten(0, 1)
    weights = weights.softmax(dim=-1)
    return weights @ v


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    scale: float,
    fused: bool = False,
    share: int = 1,
    bias: Tensor | None = None,
    cap: float | None = None,
) -> Tensor:
    """Every position of q reads all of k and v."""
    k, v = head_rows(k, heads // share), head_rows(v, heads // share)
    y = weighed(head_rows(q, heads), k, v, scale, fused, share, bias, cap=cap)
    return y.transpose(1, 2).flatten(2).mT.unflatten(2, q.shape[2:])


def axis_rows(x: Tensor, heads: int, over: str) -> Tensor:
    """(n, c, t, h, w) -> (sequences, sequences, positions over some axes, channels of a head).

    The other axes go with the clips where frames are among them, else with the heads: views of a channels-last map.
    """
    rest, along = ([3 + i for i in range(3) if ("thw"[i] in over) == inside] for inside in (False, True))
    x = x.unflatten(1, (heads, -1)).permute(0, *rest, 1, *along, 2)
    x = x.flatten(2 + len(rest), 4)
    return x.flatten(1, 1 + len(rest)) if "t" in over else x.flatten(0, len(rest))


def axis_map(y: Tensor, like: Tensor, heads: int, over: str) -> Tensor:
    """Rows of some axes back on the map `like`, channels last."""
    rest, along = ([2 + i for i in range(3) if ("thw"[i] in over) == inside] for inside in (False, True))
    y = y.reshape(like.shape[0], *[like.shape[i] for i in rest], heads, *[like.shape[i] for i in along], -1)
    at = [*rest, 1, *along]  # what lies at each axis of y, counted as on the map; channels of a head come last
    y = y.permute(0, *[1 + at.index(i) for i in (2, 3, 4, 1)], 5)
    return y.flatten(4).movedim(4, 1)


def attend_axes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    over: str,
    heads: int,
    scale: float,
    fused: bool = False,
    share: int = 1,
    cap: float | None = None,
) -> Tensor:
    """Every position of q reads those of k and v that differ from it along some axes only."""
    k, v = axis_rows(k, heads // share, over), axis_rows(v, heads // share, over)
    y = weighed(axis_rows(q, heads, over), k, v, scale, fused, share, cap=cap)
    return axis_map(y, q, heads, over)
