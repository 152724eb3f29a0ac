"""Parts of a tensor that holds a map and tokens beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.ops import Shape


def map_part(value: Tensor, x: Shape) -> Tensor:
    """The map alone.  -> (n, c, t, h, w)"""
    return value[..., x.extra :].reshape(*value.shape[:2], *x[1:4])


def one_frame(value: Tensor, x: Shape, frame: int) -> Tensor:
    """The value with one frame of its map; the tokens stay."""
    if not x.extra:
        return value[:, :, frame : frame + 1]
    part = map_part(value, x)[:, :, frame : frame + 1]
    return torch.cat([value[..., : x.extra], part.flatten(2)[:, :, None, None]], dim=-1)
