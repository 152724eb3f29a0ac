"""Flow as a picture: direction as hue, length as saturation."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

HUES = ((0, 1, 15, 1), (1, 0, 6, -1), (1, 2, 4, 1), (2, 1, 11, -1), (2, 0, 13, 1), (0, 2, 6, -1))
"""Middlebury's wheel of 55 colours: (full channel, changing channel, colours, whether it rises or falls)."""


def colour_wheel() -> Tensor:
    """Red, yellow, green, cyan, blue, magenta and what lies between.  (55, 3) from 0 to 1"""
    parts = []
    for full, changing, count, sign in HUES:
        part = torch.zeros(count, 3, dtype=torch.float64)
        rise = (255 * torch.arange(count, dtype=torch.float64) / count).floor() / 255
        part[:, full], part[:, changing] = 1, rise if sign > 0 else 1 - rise
        parts.append(part)
    return torch.cat(parts)


def flow_colours(flow: Tensor) -> Tensor:
    """Middlebury's colours, the longest flow the most saturated; no flow is white, unknown flow black.

    (2, h, w) -> (3, h, w) uint8
    """
    known = flow.isfinite().all(0)
    x, y = torch.where(known, flow, 0.0).double()
    length = (x * x + y * y).sqrt()
    length = length / length.max().clamp(min=1e-9)
    wheel = colour_wheel()
    place = (torch.atan2(-y, -x) / pi + 1) / 2 * (len(wheel) - 1)
    low = place.floor().long()
    share = (place - low)[..., None]
    hue = (1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    colours = 1 - length[..., None] * (1 - hue)
    return (255 * colours * known[..., None]).floor().permute(2, 0, 1).to(torch.uint8)
