"""Boxes, label maps and flow, moved as the frames they belong to are cropped, resized and mirrored."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.training.data.transforms.geometry import AxisCut, Cut

UNLABELLED = 255
"""Of a label map: the pixel does not count."""


def moved_along(places: Tensor, axis: AxisCut) -> Tensor:
    """Places along one axis, in pixels of the frame, as pixels of the crop; borders of pixels are whole numbers."""
    moved = (places - axis.start) / axis.step
    return axis.out - moved if axis.mirrored else moved


def move_boxes(boxes: Tensor, cut: Cut) -> Tensor:
    """Boxes x1, y1, x2, y2 in pixels, clipped to the crop; one outside it has no area. Boxes of zeros stay.

    (n, 4) -> (n, 4)
    """
    x, y = moved_along(boxes[:, [0, 2]].float(), cut.columns), moved_along(boxes[:, [1, 3]].float(), cut.rows)
    x, y = x.sort(1).values.clamp(0, cut.columns.out), y.sort(1).values.clamp(0, cut.rows.out)
    moved = torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)
    return torch.where((boxes != 0).any(1, keepdim=True), moved, torch.zeros_like(moved))


def move_points(points: Tensor, cut: Cut, mirror: Tensor) -> Tensor:
    """Points (x, y, whether known), left and right changed in a mirror image; those outside are not known.

    (..., points, 3), (points,) -> (..., points, 3)
    """
    points = points[..., mirror, :] if cut.columns.mirrored else points
    x, y = moved_along(points[..., 0], cut.columns), moved_along(points[..., 1], cut.rows)
    inside = (x >= 0) & (y >= 0) & (x < cut.columns.out) & (y < cut.rows.out)
    return torch.stack([x, y, points[..., 2] * inside], dim=-1)


def nearest_pixels(axis: AxisCut) -> Tensor:
    """The pixel of the frame that each pixel of the crop shows.  (out,)"""
    centres = axis.start + (torch.arange(axis.out, dtype=torch.float64) + 0.5) * axis.step
    pixels = centres.floor().long().clamp(axis.low, axis.high - 1)
    return pixels.flip(0) if axis.mirrored else pixels


def move_labels(labels: Tensor, cut: Cut) -> Tensor:
    """A map of labels: each pixel takes the nearest one's; bars are 255.  (..., h, w) -> (..., rows, columns)"""
    rows, columns = (nearest_pixels(axis).to(labels.device) for axis in cut)
    moved = labels[..., rows[:, None], columns]
    inside = cut.without_bars(torch.ones(cut.rows.out, cut.columns.out, dtype=torch.bool, device=labels.device))
    return moved.masked_fill(~inside, UNLABELLED)


def move_flow(flow: Tensor, cut: Cut) -> Tensor:
    """Flow (x, y) in pixels: resized as frames are, its values in pixels of the crop, x negated in a mirror image.

    (2, ..., h, w) -> (2, ..., rows, columns)
    """
    shape = flow.shape
    moved = cut.of(flow.reshape(1, -1, *shape[-2:]))[0].reshape(*shape[:-2], cut.rows.out, cut.columns.out)
    sign = -1 if cut.columns.mirrored else 1
    scale = torch.tensor([sign / cut.columns.step, 1 / cut.rows.step], device=flow.device)
    return moved * scale.view(2, *[1] * (moved.ndim - 1))
