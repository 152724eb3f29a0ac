"""Proposals, suppression and pooling by place in plain torch, against their definitions in Python loops."""

from __future__ import annotations

from math import ceil, exp, floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archdsl import ops
from archdsl.backend.runtime.regions.anchors import shifted_boxes
from archdsl.backend.runtime.regions.rcnn import place_pool, propose, suppressed
from archdsl.errors import SpecError
from archdsl.ops import Shape

Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union; pixels count from the first to the last."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(width, 0.0) * max(height, 0.0)
    areas = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return common / (sum(areas) - common)


def defined_suppression(boxes: list[Box], scores: list[float], most: float, count: int) -> list[int]:
    """Greedy: the best box that does not overlap one already taken by more than `most`, until there are `count`."""
    taken: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if len(taken) < count and all(overlap(boxes[i], boxes[j]) <= most for j in taken):
            taken.append(i)
    return taken


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 12), st.sampled_from([0.3, 0.7]), st.integers(0, 9))
def test_suppression_is_its_definition(n: int, count: int, most: float, seed: int) -> None:
    torch.manual_seed(seed)
    corner = 40 * torch.rand(2, n, 2, dtype=torch.double)
    boxes = torch.cat([corner, corner + 30 * torch.rand(2, n, 2, dtype=torch.double)], -1)
    scores, alive = torch.rand(2, n, dtype=torch.double), torch.rand(2, n) < 0.9
    got, given_scores = suppressed(boxes, scores, alive, most, count)
    for b in range(2):
        here = [i for i in range(n) if alive[b, i]]
        listed: list[Box] = [tuple(boxes[b, i].tolist()) for i in here]
        taken = [here[i] for i in defined_suppression(listed, [float(scores[b, i]) for i in here], most, count)]
        rest = count - len(taken)
        torch.testing.assert_close(got[b], torch.cat([boxes[b, taken], torch.zeros(rest, 4, dtype=torch.double)]))
        torch.testing.assert_close(given_scores[b], torch.cat([scores[b, taken], torch.zeros(rest).double()]))


def defined_proposals(
    chances: Tensor, shifts: Tensor, op: ops.Proposals, height: int, width: int
) -> list[tuple[float, Box]]:
    """One frame, (a, h, w) and (4a, h, w): anchor by anchor (arXiv:1506.01497, section 3.1 and equation 2)."""
    _, h, w = chances.shape
    found: list[tuple[float, Box]] = []
    for i in range(min(h, height // op.step)):
        for j in range(min(w, width // op.step)):
            for k, (x1, y1, x2, y2) in enumerate(op.anchors):
                dx, dy, dw, dh = (float(shifts[4 * k + n, i, j]) * op.deviations[n] for n in range(4))
                side_x, side_y = x2 - x1 + 1, y2 - y1 + 1
                x = j * op.step + (x1 + x2) / 2 + dx * side_x
                y = i * op.step + (y1 + y2) / 2 + dy * side_y
                reach_x, reach_y = (side_x * exp(dw) - 1) / 2, (side_y * exp(dh) - 1) / 2
                box = tuple(
                    min(max(v, 0.0), last - 1.0)
                    for v, last in zip((x - reach_x, y - reach_y, x + reach_x, y + reach_y), (width, height) * 2)
                )
                if min(box[2] - box[0], box[3] - box[1]) + 1 >= op.least:
                    found.append((float(chances[k, i, j]), box))  # type: ignore[arg-type]
    found = sorted(found, key=lambda one: -one[0])[: op.candidates]
    taken = defined_suppression([box for _, box in found], [score for score, _ in found], op.overlap, op.count)
    return [found[i] for i in taken]


@pytest.mark.parametrize(
    ("op", "height", "width"),
    [
        (ops.Proposals(step=16, scales=(1, 2), deviations=(0.1, 0.1, 0.4, 0.4), candidates=50, count=12), 64, 80),
        (ops.Proposals(step=16, scales=(1, 2), candidates=500, count=300, overlap=0.5, least=9), 64, 80),
        (ops.Proposals(step=16, scales=(2,), ratios=(1,), count=5), 60, 70),  # a broken last row and column
    ],
)
def test_proposals_are_their_definition(op: ops.Proposals, height: int, width: int) -> None:
    torch.manual_seed(0)
    a = len(op.anchors)
    chances, shifts, clip = (
        torch.rand(2, a, 2, 4, 5),
        torch.randn(2, 4 * a, 2, 4, 5),
        torch.empty(2, 3, 2, height, width),
    )
    fields = (op.step, op.candidates, op.count, op.overlap, op.least)
    got = propose(chances, shifts, clip, list(op.anchors), op.deviations, *fields)
    assert got.shape == (2, 5, 2, op.count, 1)
    for n in range(2):
        for t in range(2):
            want = defined_proposals(chances[n, :, t], shifts[n, :, t], op, height, width)
            rows = [[score, *box] for score, box in want] + [[0.0] * 5] * (op.count - len(want))
            torch.testing.assert_close(got[n, :, t, :, 0].T, torch.tensor(rows), atol=1e-4, rtol=1e-5)


def test_anchors_are_the_first_codes() -> None:
    """The nine anchors that generate_anchors of py-faster-rcnn prints."""
    assert [tuple(map(round, box)) for box in ops.Proposals(step=16).anchors] == [
        (-84, -40, 99, 55),
        (-176, -88, 191, 103),
        (-360, -184, 375, 199),
        (-56, -56, 71, 71),
        (-120, -120, 135, 135),
        (-248, -248, 263, 263),
        (-36, -80, 51, 95),
        (-80, -168, 95, 183),
        (-168, -344, 183, 359),
    ]


def test_nothing_is_learnt_through_proposals() -> None:
    chances = torch.rand(1, 1, 1, 3, 3, requires_grad=True)
    op = ops.Proposals(step=16, scales=(2,), ratios=(1,), count=4)
    fields = (op.step, op.candidates, op.count, op.overlap, op.least)
    got = propose(
        chances, torch.zeros(1, 4, 1, 3, 3), torch.empty(1, 3, 1, 48, 48), list(op.anchors), (1, 1, 1, 1), *fields
    )
    assert not got.requires_grad


def defined_pool(maps: Tensor, box: list[float], size: int, step: int) -> Tensor:
    """arXiv:1605.06409, equation 1, over (c size^2, h, w); borders as the authors' kernel has them."""
    _, h, w = maps.shape
    x1, y1 = (floor(v + 0.5) / step for v in box[:2])
    x2, y2 = ((floor(v + 0.5) + 1) / step for v in box[2:])
    side_x, side_y = (max(last - first, 0.1) / size for first, last in ((x1, x2), (y1, y2)))
    out = torch.zeros(len(maps) // size**2, size**2, dtype=maps.dtype)
    for c in range(len(out)):
        for i in range(size):
            for j in range(size):
                rows = range(max(floor(y1 + i * side_y), 0), min(ceil(y1 + (i + 1) * side_y), h))
                columns = range(max(floor(x1 + j * side_x), 0), min(ceil(x1 + (j + 1) * side_x), w))
                cell = [float(maps[(c * size + i) * size + j, p, q]) for p in rows for q in columns]
                out[c, i * size + j] = sum(cell) / len(cell) if cell else 0.0
    return out


BOXES = [
    [0.0, 0.0, 95.0, 79.0],  # the whole map
    [10.4, 20.5, 60.0, 77.7],  # within
    [33.0, 17.0, 34.0, 18.0],  # less than one element
    [80.0, 60.0, 140.0, 130.0],  # beyond the far corner
    [200.0, 200.0, 230.0, 230.0],  # outside
    [0.0, 0.0, 0.0, 0.0],  # none
]


@pytest.mark.parametrize("size", [1, 3])
def test_pooling_by_place_is_its_definition(size: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2 * size**2, 2, 5, 6, dtype=torch.double)
    orders = torch.tensor([[BOXES, BOXES[::-1]], [BOXES[::-1], BOXES]], dtype=torch.double)  # (n, t, r, 4)
    got = place_pool(x, orders.permute(0, 3, 1, 2)[..., None], size, 16)
    assert got.shape == (2, 2, 2, len(BOXES), size**2)
    for n in range(2):
        for t in range(2):
            for r, box in enumerate(orders[n, t].tolist()):
                want = defined_pool(x[n, :, t], box, size, 16)
                torch.testing.assert_close(got[n, :, t, r], want, atol=1e-12, rtol=0)


def test_gradients_of_pooling_are_right() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 1, 4, 5, dtype=torch.double, requires_grad=True)
    boxes = torch.tensor(BOXES[:3], dtype=torch.double).T[None, :, None, :, None]
    assert torch.autograd.gradcheck(lambda x: place_pool(x, boxes, 2, 16), x)


def test_pooling_of_a_detector_by_hand() -> None:
    """31 classes in 7 x 7 cells, 300 boxes: no multiply-adds."""
    pool = ops.PlacePool(size=7, step=16)
    xs = Shape(49 * 31, 2, 38, 63), Shape(4, 2, 300, 1)
    assert pool.out(*xs) == (31, 2, 300, 49)
    assert (pool.cost(*xs).macs, pool.cost(*xs).activations) == (0, 31 * 2 * 300 * 49)


@pytest.mark.parametrize(
    ("op", "xs", "what"),
    [
        (ops.Proposals(step=16), (Shape(9, 1, 4, 4), Shape(9, 1, 4, 4), Shape(3, 1, 64, 64)), "scores and shifts"),
        (ops.Proposals(step=16, scales=()), (Shape(9, 1, 4, 4),) * 3, "fewer than one anchor"),
        (ops.PlacePool(size=3, step=16), (Shape(10, 1, 4, 4), Shape(4, 1, 2, 1)), "channels not divisible by cells"),
        (ops.PlacePool(size=3, step=16), (Shape(9, 2, 4, 4), Shape(4, 1, 2, 1)), "wrong shape of the boxes"),
    ],
)
def test_what_ops_refuse(op: ops.Op, xs: tuple[Shape, ...], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        op.out(*xs)


def test_a_side_is_stretched_as_far_as_in_the_originals() -> None:
    """Detectron and torchvision bound shifts of sizes at log(1000 / 16)."""
    op, shape = ops.MoveBoxes(), (1, 4, 1, 1, 1)
    shifts, box = torch.tensor([0.0, 0, 50, 1]).view(shape), torch.tensor([0.0, 0, 20, 20]).view(shape)
    x0, y0, x1, y1 = shifted_boxes(shifts, box, op.deviations, op.stretch, op.size).flatten().tolist()
    assert (x1 - x0) / (y1 - y0) == pytest.approx((1000 / 16) / exp(1), rel=1e-4)
