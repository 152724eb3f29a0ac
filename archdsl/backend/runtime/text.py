"""Texts beside clips. The source of each is put into the emitted file, so it uses nothing but torch, nn and F."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def at_end(x: Tensor, ids: Tensor) -> Tensor:
    """What lies where a text's ids are largest.  (n, c, t, h, w), (n, 1, t, h, w) -> (n, c, 1, h, w)"""
    return x.gather(2, ids.argmax(dim=2, keepdim=True).expand(-1, x.shape[1], -1, -1, -1))


def soft_pool(scores: Tensor, x: Tensor) -> Tensor:
    """Means by the softmax of scores over positions.  (n, g, t, h, w), (n, c, t, h, w) -> (n, g c, 1, 1, 1)"""
    weights = torch.softmax(scores.flatten(2), dim=2)
    return (weights @ x.flatten(2).mT).flatten(1)[..., None, None, None]


class ScaledProducts(nn.Module):
    """exp(s) times products of a vector and several.  (n, c, 1, 1, 1), (n, c, 1, h, w) -> (n, h w, 1, 1, 1)"""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), math.log(1 / 0.07)))

    def forward(self, x: Tensor, texts: Tensor) -> Tensor:
        products = texts.flatten(2).mT @ x.flatten(2)
        return (self.weight.exp().to(products.dtype) * products)[..., None, None]
