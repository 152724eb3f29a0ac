"""The way back from a pool, and where a transposed convolution enlarges from. The source is put into emitted files."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def max_unpool(x: Tensor, like: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """(n, c, t, h, w), (n, c, T, H, W) -> (n, c, T, H, W): each element where the largest of its window lay."""
    _, where = F.max_pool3d(like.detach(), kernel, stride, ceil_mode=True, return_indices=True)
    empty = torch.zeros_like(like, dtype=x.dtype).flatten(2)
    return empty.scatter_(2, where.flatten(2), x.flatten(2)).reshape(like.shape)


@torch.no_grad()
def start_bilinear(weight: Tensor) -> None:
    """Each channel enlarged linearly by itself, as Caffe's bilinear filler: (i, o, t, h, w), i the channel o."""
    kernel = torch.ones(())
    for k in weight.shape[2:]:
        half = (k + 1) // 2
        centre = (2 * half - 1 - half % 2) / (2 * half)
        kernel = kernel[..., None] * (1 - (torch.arange(k) / half - centre).abs())
    weight.zero_()
    both = torch.arange(min(weight.shape[:2]))
    weight[both, both] = kernel.to(weight)
