"""Crops of frames: resizing and cropping in one step.

A frame that is resized and then cropped is read only where the crop lies. Along each axis the result is a product with
a matrix of weights: those of torch's antialiased bilinear interpolation, for the pixels of the crop alone.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import torch
from torch import Tensor


class AxisCut(NamedTuple):
    """Where along one axis `out` pixels are read: the i-th at `start + (i + 1/2) step`, from pixels `low` to `high`."""

    out: int
    start: float
    step: float
    low: int
    high: int
    mirrored: bool = False

    @property
    def copies(self) -> bool:
        """Whether pixels are copied without interpolation."""
        return self.step == 1 and self.start == self.low and self.low + self.out == self.high

    @property
    def covered(self) -> int:
        """Pixels that the frame reaches; beyond them are bars."""
        return min(self.out, ceil((self.high - self.start) / self.step - 0.5))

    def weights(self, device: torch.device) -> Tensor:
        """Interpolation weights of the pixels from low to high for each output pixel.  (out, high - low)"""
        reach = max(self.step, 1.0)
        # made on the device, since a copy to it would wait; Apple's has no float64
        there = torch.device("cpu") if device.type == "mps" else device
        pixels = torch.arange(self.low, self.high, dtype=torch.float64, device=there) + 0.5
        centres = self.start + (torch.arange(self.out, dtype=torch.float64, device=there) + 0.5) * self.step
        near = (1 - (pixels - centres[:, None]).abs() / reach).clamp(min=0)
        share = near / near.sum(1, keepdim=True).clamp(min=torch.finfo(near.dtype).tiny)
        return (share.flip(0) if self.mirrored else share).to(device, torch.float32)


class Cut(NamedTuple):
    """A crop: what is read along height and width."""

    rows: AxisCut
    columns: AxisCut

    def flipped(self) -> Cut:
        """The mirror image."""
        return self._replace(columns=self.columns._replace(mirrored=not self.columns.mirrored))

    def without_bars(self, x: Tensor) -> Tensor:
        """Zeros where the frame does not reach: the mean, of what is normalised.  (c, t, rows, columns)"""
        for dim, axis in ((-2, self.rows), (-1, self.columns)):
            bar = axis.out - axis.covered
            if bar > 0:
                x = x.clone()
                x.narrow(dim, 0 if axis.mirrored else axis.covered, bar).zero_()
        return x

    def of(self, frames: Tensor) -> Tensor:
        """The crop of every frame.  (c, t, h, w) of any type -> (c, t, rows, columns), float"""
        return self.resized(self.part(frames))

    def part(self, frames: Tensor) -> Tensor:
        """The pixels that are read of every frame."""
        return frames[..., self.rows.low : self.rows.high, self.columns.low : self.columns.high]

    def resized(self, part: Tensor) -> Tensor:
        """The crop, made of the pixels that are read."""
        rows, columns, part = self.rows, self.columns, part.float()
        if rows.copies and columns.copies:
            return part.flip(-1) if columns.mirrored else part
        return rows.weights(part.device) @ (part @ columns.weights(part.device).T)


def resized_axis(size: int, resized: int, first: int, out: int) -> AxisCut:
    """`out` pixels from the `first` on, of an axis that is resized as a whole from `size` to `resized`."""
    step = size / resized
    start = first * step
    if size == resized:
        return AxisCut(out, start, step, first, first + out)
    reach = max(step, 1.0)
    return AxisCut(out, start, step, max(0, floor(start - reach)), min(size, ceil(start + out * step + reach)))


def part_axis(first: int, length: int, out: int) -> AxisCut:
    """`length` pixels from `first` on, cropped and then resized to `out`."""
    return AxisCut(out, float(first), length / out, first, first + length)


def cut_of_resized(frame: tuple[int, int], resized: tuple[int, int], at: tuple[int, int], out: tuple[int, int]) -> Cut:
    """Of a frame resized to `resized`, the crop of size `out` whose top left corner lies `at`. All (height, width)."""
    return Cut(
        resized_axis(frame[0], resized[0], at[0], out[0]),
        resized_axis(frame[1], resized[1], at[1], out[1]),
    )


def cut_of_part(part: tuple[int, int], at: tuple[int, int], out: tuple[int, int]) -> Cut:
    """A part of a frame, its top left corner `at`, resized to `out`. All (height, width)."""
    return Cut(part_axis(at[0], part[0], out[0]), part_axis(at[1], part[1], out[1]))


def fitted_cut(frame: tuple[int, int], out: tuple[int, int]) -> Cut:
    """A whole frame, as large as fits into `out`, at its top left. All (height, width)."""
    step = max(frame[0] / out[0], frame[1] / out[1])
    rows, columns = (AxisCut(many, 0.0, step, 0, size) for size, many in zip(frame, out))
    return Cut(rows, columns)


def with_short_side(frame: tuple[int, int], short: int, out: tuple[int, int]) -> tuple[int, int]:
    """A frame's size when its short side is `short`, the long one rounded down (PySlowFast).

    Where a crop that is not square would stick out, the frame is enlarged to fit.
    """
    height, width = frame
    scale = max(short / min(frame), out[0] / height, out[1] / width)
    return max(out[0], floor(height * scale + 1e-6)), max(out[1], floor(width * scale + 1e-6))


def uncut(frame: tuple[int, int]) -> Cut:
    """Nothing cut, of a frame of (height, width)."""
    return cut_of_part(frame, (0, 0), frame)
