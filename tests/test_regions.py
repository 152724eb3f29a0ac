"""Anchors, boxes and their cells beside plain loops."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archdsl import ops
from archdsl.backend.runtime.regions.anchors import anchor_boxes, anchor_rows, best_boxes, cell_boxes, shifted_boxes
from archdsl.backend.runtime.regions.cells import region_align, region_max_pool


def some_boxes(count: int, size: float, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    corner, sides = (torch.rand(2, count, generator=rng) * size for _ in range(2))
    return torch.cat([corner - size / 8, corner + sides])


def nms(boxes: Tensor, scores: Tensor, overlap: float) -> list[int]:
    """Places of what stays, best first, pair by pair."""
    kept: list[int] = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        x = boxes[i].tolist()

        def shared(j: int, x: list[float] = x) -> float:
            y = boxes[j].tolist()
            w, h = min(x[2], y[2]) - max(x[0], y[0]), min(x[3], y[3]) - max(x[1], y[1])
            common = max(w, 0) * max(h, 0)
            return common / ((x[2] - x[0]) * (x[3] - x[1]) + (y[2] - y[0]) * (y[3] - y[1]) - common)

        if all(shared(j) <= overlap for j in kept):
            kept.append(i)
    return kept


def aligned(x: Tensor, box: list[float], size: int, step: float, samples: int) -> Tensor:
    """(c, h, w) -> (c, size, size): the mean of linear samples of each cell, one after the other."""
    _, h, w = x.shape
    x1, y1, x2, y2 = (v / step for v in box)
    cell = max(y2 - y1, 1) / size, max(x2 - x1, 1) / size
    y = torch.zeros(len(x), size, size)
    for i in range(size):
        for j in range(size):
            for k in range(samples):
                for m in range(samples):
                    at = y1 + (i + (k + 0.5) / samples) * cell[0], x1 + (j + (m + 0.5) / samples) * cell[1]
                    if not (-1 <= at[0] <= h and -1 <= at[1] <= w):
                        continue
                    row, column = min(max(at[0], 0), h - 1), min(max(at[1], 0), w - 1)
                    a, b = int(row), int(column)
                    c, d = min(a + 1, h - 1), min(b + 1, w - 1)
                    u, v = row - a, column - b
                    value = (1 - u) * ((1 - v) * x[:, a, b] + v * x[:, a, d])
                    y[:, i, j] += (value + u * ((1 - v) * x[:, c, b] + v * x[:, c, d])) / samples**2
    return y


def test_rows_of_anchors_by_hand() -> None:
    """Two anchors of two numbers on a 1x2 map, then one on a 1x1 map."""
    first = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]).reshape(1, 4, 1, 1, 2)
    rows = anchor_rows([first, torch.tensor([9, 10]).reshape(1, 2, 1, 1, 1)], 2)
    assert rows[0, :, 0, :, 0].T.tolist() == [[1, 3], [5, 7], [2, 4], [6, 8], [9, 10]]
    boxes = anchor_boxes((((4.0, 2.0), (8.0, 8.0)),), ((1, 2),), ((10.0, 20.0),), 0.5)
    assert boxes.T.tolist() == [[8, 4, 12, 6], [6, 1, 14, 9], [28, 4, 32, 6], [26, 1, 34, 9]]


def test_moved_boxes_by_hand() -> None:
    box = torch.tensor([10.0, 20.0, 30.0, 60.0]).reshape(1, 4, 1, 1, 1)
    shift = torch.tensor([1.0, 0.5, math.log(2) / 0.2, 99.0]).reshape(1, 4, 1, 1, 1)
    got = shifted_boxes(shift, box, (0.1, 0.1, 0.2, 0.2), 4.0, None).flatten().tolist()
    assert [round(x, 3) for x in got] == [2.0, -38.0, 42.0, 122.0]
    cut = shifted_boxes(shift, box, (0.1, 0.1, 0.2, 0.2), 4.0, (50, 40)).flatten().tolist()
    assert [round(x, 3) for x in cut] == [2.0, 0.0, 40.0, 50.0]
    # a cell of 20 pixels around (20, 40): the sigmoid of 0 is its middle
    said = torch.tensor([0.0, 100.0, 0.0, math.log(2)]).reshape(1, 4, 1, 1, 1)
    assert [round(x, 3) for x in cell_boxes(said, box, (1,), (20.0,)).flatten().tolist()] == [10.0, 10.0, 30.0, 90.0]


def test_the_best_boxes_are_those_of_plain_suppression() -> None:
    """By class with a background and boxes of each class; then one class, apart by map, a few of each."""
    torch.manual_seed(0)
    chances = torch.rand(1, 4, 1, 30, 1).softmax(1)
    boxes = torch.stack([some_boxes(30, 20, seed) for seed in range(4)])
    got = best_boxes(chances, boxes.reshape(1, 16, 1, 30, 1), (30,), 50, 0.3, 0.24, 8.0, None, "class", "class", True)[
        0, :, 0, :, 0
    ].T
    want = []
    for label in (1, 2, 3):
        score, box = chances[0, label, 0, :, 0], boxes[label].T
        alive = ((score > 0.24) & (box[:, 2:] - box[:, :2] >= 8.0).all(1)).nonzero()[:, 0]
        want += [[label, float(score[i]), *box[i].tolist()] for i in alive[nms(box[alive], score[alive], 0.3)]]
    want.sort(key=lambda row: -row[1])
    assert 10 < len(want) < 50
    torch.testing.assert_close(got[: len(want)], torch.tensor(want))
    assert not got[len(want) :].any()

    rows, score, box = (12, 18), torch.rand(30), some_boxes(30, 20)
    got = best_boxes(
        score.reshape(1, 1, 1, 30, 1), box.reshape(1, 4, 1, 30, 1), rows, 9, 0.3, -1.0, 0.0, 8, "map", "map", False
    )[0, :, 0, :, 0].T
    want = []
    for i, places in enumerate((torch.arange(12), torch.arange(12, 30))):
        best = places[score[places].topk(8).indices]
        kept = best[nms(box.T[best], score[best], 0.3)]
        want += [[i, float(score[j]), *box.T[j].tolist()] for j in kept]
    want.sort(key=lambda row: -row[1])
    torch.testing.assert_close(got[:, 1:], torch.tensor(want[:9])[:, 1:])
    assert not got[:, 0].any()  # one class


def test_cells_of_the_map_that_fits_a_box() -> None:
    """Boxes of 10 to 900 pixels on maps of steps 4 to 32, two clips of two frames; outside of maps there is nothing."""
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, 2, 64 // s, 80 // s) for s in (4, 8, 16, 32)]
    corner, sides = torch.rand(2, 2, 2, 6) * 60 - 8, torch.rand(2, 2, 2, 6) * torch.tensor([10, 50, 120, 250, 500, 900])
    boxes = torch.cat([corner, corner + sides], 1)[..., None]
    got = region_align(boxes, maps, 3, 2, (4, 8, 16, 32), tuple((64 // s, 80 // s) for s in (4, 8, 16, 32)))
    levels = set()
    for n in range(2):
        for t in range(2):
            for r in range(6):
                box = boxes[n, :, t, r, 0].tolist()
                area = (box[2] - box[0]) * (box[3] - box[1])
                level = min(max(math.floor(4 + math.log2(math.sqrt(area) / 224) + 1e-6), 2), 5) - 2
                levels.add(level)
                want = aligned(maps[level][n, :, t], box, 3, 4 * 2**level, 2)
                torch.testing.assert_close(got[n, :, t * 6 + r], want)
    assert len(levels) >= 3


def test_the_largest_of_each_cell() -> None:
    torch.manual_seed(0)
    x, boxes = torch.randn(2, 3, 2, 7, 9), torch.stack([some_boxes(8, 60, seed) for seed in range(4)])
    boxes = boxes.reshape(2, 2, 4, 8).transpose(1, 2)[..., None]
    got = region_max_pool(boxes, x, 3, 8, (2, 3))
    for n in range(2):
        for t in range(2):
            for r in range(8):
                low_x, low_y, high_x, high_y = (math.floor(v / 8 + 0.5) for v in boxes[n, :, t, r, 0].tolist())
                h, w = max(high_y - low_y + 1, 1) / 3, max(high_x - low_x + 1, 1) / 3
                for i in range(3):
                    for j in range(3):
                        rows = slice(max(math.floor(i * h) + low_y, 0), max(math.ceil((i + 1) * h) + low_y, 0))
                        columns = slice(max(math.floor(j * w) + low_x, 0), max(math.ceil((j + 1) * w) + low_x, 0))
                        part = x[n, :, t, rows, columns].flatten(1)
                        want = part.amax(1) if part.numel() else torch.zeros(3)
                        torch.testing.assert_close(got[n, :, t * 8 + r, i, j], want)


def test_a_gradient_reaches_maps_and_shifts() -> None:
    """Of cells the maps', of moved boxes the shifts'; where boxes lie is no function to learn from."""
    maps = [torch.randn(1, 2, 1, n, n, requires_grad=True) for n in (8, 4)]
    boxes = some_boxes(3, 20).reshape(1, 4, 1, 3, 1).requires_grad_()
    region_align(boxes, maps, 2, 2, (4, 8), ((8, 8), (4, 4))).sum().backward()
    assert boxes.grad is None
    assert any(x.grad.abs().sum() > 0 for x in maps if x.grad is not None)


def test_what_a_network_of_them_says_of_itself() -> None:
    op = ops.RegionAlign(size=7, steps=(4, 8))
    xs = (ops.Shape(4, 2, 5, 1), ops.Shape(8, 2, 16, 16), ops.Shape(8, 2, 8, 8))
    assert op.out(*xs) == (8, 10, 7, 7)
    assert op.sees(xs, ((1, 2), (1, 2), (1, 2)), op.out(*xs)) == (1,) * 5 + (2,) * 5
    assert ops.RegionRows(count=5).out(ops.Shape(3, 10, 1, 1)) == (3, 2, 5, 1)
