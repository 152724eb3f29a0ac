"""Attention within windows that part a map, and those that shift. The source of each is put into the emitted file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from archdsl.backend.runtime.attention.products import weighed


def parted(x: Tensor, count: tuple[int, int, int]) -> Tensor:
    """(n, t, h, w, c) -> (n, windows along t, h, w, positions of one, c)."""
    for i, parts in enumerate(count):
        x = x.unflatten(1 + 2 * i, (parts, -1))
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6)


def window_rows(x: Tensor, heads: int, count: tuple[int, int, int], shift: tuple[int, int, int]) -> Tensor:
    """(n, c, t, h, w) -> (n windows, heads, positions of a window, channels of a head)."""
    x = x.movedim(1, -1)
    if any(shift):
        x = x.roll([-by for by in shift], (1, 2, 3))
    return parted(x, count).flatten(0, 3).unflatten(2, (heads, -1)).transpose(1, 2)


def window_map(y: Tensor, like: Tensor, count: tuple[int, int, int], shift: tuple[int, int, int]) -> Tensor:
    """Rows of windows back on the map `like`, channels last."""
    sizes = [like.shape[2 + i] // parts for i, parts in enumerate(count)]
    y = y.transpose(1, 2).flatten(2).unflatten(1, sizes).unflatten(0, (-1, *count))
    y = y.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(5, 6).flatten(3, 4).flatten(1, 2)
    if any(shift):
        y = y.roll(shift, (1, 2, 3))
    return y.movedim(4, 1)


def window_mask(
    like: Tensor, count: tuple[int, int, int], size: tuple[int, int, int], shift: tuple[int, int, int]
) -> Tensor:
    """-100 for two positions that lay apart before the shift brought them into one window: (windows, 1, n, n)."""
    regions = torch.zeros(1, 1, 1, dtype=torch.int32)
    for i, (parts, window, by) in enumerate(zip(count, size, shift)):
        places = torch.arange(parts * window)
        region = ((places >= (parts - 1) * window).int() + (places >= parts * window - by).int()) * int(by > 0)
        regions = 3 * regions + region.view([-1 if axis == i else 1 for axis in range(3)])
    of = parted(regions[None, ..., None], count).flatten(0, 3).squeeze(-1).to(like)
    return (of[:, None, :] != of[:, :, None]).to(like.dtype)[:, None] * -100.0


def attend_windows(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    count: tuple[int, int, int],
    size: tuple[int, int, int],
    shift: tuple[int, int, int],
    heads: int,
    scale: float,
    fused: bool = False,
    share: int = 1,
    bias: Tensor | None = None,
) -> Tensor:
    """Every position of q reads those of k and v in its window; k and v are parted into `count` windows of a size."""
    if size[0] == 1:
        count = (k.shape[2], *count[1:])  # a causal network also reads fewer frames than its clip has
    mask = window_mask(k, count, size, shift) if any(shift) else None
    k, v = (window_rows(x, heads // share, count, shift) for x in (k, v))
    y = weighed(window_rows(q, heads, count, shift), k, v, scale, fused, share, bias, mask)
    return window_map(y, q, count, shift)


class WindowAttention(nn.Module):
    """`attend_windows` with a learnt number for each head and each step from one position of a window to another.

    Windows smaller than the `table` is for are read as its first positions in row-major order, as torchvision's Swin3D
    has it.
    """

    def __init__(
        self,
        heads: int,
        table: tuple[int, int, int],
        count: tuple[int, int, int],
        size: tuple[int, int, int],
        shift: tuple[int, int, int],
        scale: float,
        fused: bool = False,
        share: int = 1,
    ) -> None:
        super().__init__()
        self.heads, self.of, self.scale, self.fused, self.share = heads, table, scale, fused, share
        self.count, self.size, self.shift = count, size, shift
        self.table = nn.Parameter(torch.empty(math.prod(2 * n - 1 for n in table), heads))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        where = (self.count, self.size, self.shift)
        return attend_windows(q, k, v, *where, self.heads, self.scale, self.fused, self.share, self.bias())

    def bias(self) -> Tensor:
        """The number for each pair of positions of a window: (heads, n, n)."""
        place = torch.arange(math.prod(self.size))
        _, h, w = self.of
        index = torch.zeros_like(place)[:, None]
        for n, at in zip(self.of, (place // (h * w), place // w % h, place % w)):
            index = index * (2 * n - 1) + at[:, None] - at + n - 1
        return self.table[index].movedim(2, 0)
