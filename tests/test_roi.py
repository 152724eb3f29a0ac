"""RoIAlign in plain torch against its definition, sample by sample, in Python loops."""

from __future__ import annotations

from math import ceil, floor

import pytest
import torch
from torch import Tensor

from archdsl.backend.runtime.regions.roi import roi_align


def bilinear(plane: Tensor, y: float, x: float) -> float:
    """One sample; beyond one element outside it is 0, on the border the nearest element."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    total = 0.0
    for i in (floor(y), floor(y) + 1):
        for j in (floor(x), floor(x) + 1):
            if i < height and j < width:
                total += max(0.0, 1 - abs(y - i)) * max(0.0, 1 - abs(x - j)) * float(plane[i, j])
    return total


def defined(plane: Tensor, box: list[float], size: int, step: float, aligned: bool) -> Tensor:
    """arXiv:1703.06870, section 3, with ceil(side / size) samples along each side of a cell."""
    x1, y1, x2, y2 = (v / step - (0.5 if aligned else 0) for v in box)
    height, width = y2 - y1, x2 - x1
    if not aligned:
        height, width = max(height, 1.0), max(width, 1.0)
    rows, columns = ceil(height / size), ceil(width / size)
    cells = torch.zeros(size, size, dtype=torch.float64)
    for p in range(size):
        for q in range(size):
            for i in range(rows):
                for j in range(columns):
                    y = y1 + (p + (i + 0.5) / rows) * height / size
                    x = x1 + (q + (j + 0.5) / columns) * width / size
                    cells[p, q] += bilinear(plane, y, x) / (rows * columns)
    return cells


BOXES = [
    [0.0, 0.0, 224.0, 160.0],  # the whole map
    [10.0, 20.0, 90.0, 150.0],  # within
    [3.0, 3.0, 9.0, 8.0],  # less than one element
    [-60.0, -40.0, 50.0, 70.0],  # half outside
    [200.0, 140.0, 300.0, 250.0],  # beyond the far corner
    [50.0, 50.0, 50.0, 50.0],  # empty
    [90.0, 80.0, 40.0, 30.0],  # turned inside out
]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("size", [7, 2])
def test_it_is_its_definition(size: int, aligned: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 1, 10, 14, dtype=torch.float64)
    order = [BOXES, BOXES[::-1]]
    boxes = torch.tensor(order, dtype=torch.float64).transpose(1, 2)[..., None, None]
    got = roi_align(x, boxes, size, 16.0, aligned)
    assert got.shape == (2, 3, len(BOXES), size, size)
    for n in range(2):
        for r, box in enumerate(order[n]):
            for c in range(3):
                want = defined(x[n, c, 0], box, size, 16.0, aligned)
                torch.testing.assert_close(got[n, c, r], want, atol=1e-12, rtol=0)


def test_a_ramp_is_read_at_the_middle_of_each_cell() -> None:
    ramp = (torch.arange(14, dtype=torch.float64) + 0.5).expand(1, 1, 1, 14, 14)
    box = torch.tensor([32.0, 32.0, 144.0, 144.0], dtype=torch.float64).view(1, 4, 1, 1, 1)
    got = roi_align(ramp, box, 7, 16.0, True)
    torch.testing.assert_close(got[0, 0, 0, 0], torch.arange(7, dtype=torch.float64) + 2.5)


def test_gradients_are_right() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[3.0, 2.0, 60.0, 70.0], [20.0, 10.0, 50.0, 33.0]], dtype=torch.float64).T[
        None, :, :, None, None
    ]
    assert torch.autograd.gradcheck(lambda x: roi_align(x, boxes, 3, 16.0, True), x)
