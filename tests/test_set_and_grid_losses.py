"""Losses of YOLO and DETR: beside darknet's gradients in plain loops, scipy, and transformers' loss, on random, on no
and on equal boxes.
"""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.backend.runtime.regions.anchors import anchor_boxes, cell_boxes
from archdsl.ops import Anchors
from archdsl.recipes import recipe
from archdsl.training.data.clips import Batch
from archdsl.training.tasks.boxes.grid_losses import cells_loss, cells_of, grid_boxes, grid_loss, owners
from archdsl.training.tasks.boxes.set_losses import general_overlaps, least_cost, set_amounts, set_loss, set_match
from archdsl.training.tasks.choice import task_for

Rows = list[list[float]]


def share(one: Any, other: Any) -> float:
    """Intersection over union of centres, widths and heights, as darknet has it."""

    def common(i: int) -> float:
        first = max(one[i] - one[i + 2] / 2, other[i] - other[i + 2] / 2)
        return min(one[i] + one[i + 2] / 2, other[i] + other[i + 2] / 2) - first

    inner = common(0) * common(1) if common(0) > 0 and common(1) > 0 else 0.0
    return inner / (one[2] * one[3] + other[2] * other[3] - inner)


def random_things(seed: int, count: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Centres, widths and heights from 0 to 1, labels of 5 classes; the last thing twice."""
    rng = torch.Generator().manual_seed(seed)
    sides = 0.1 + 0.4 * torch.rand(count, 2, generator=rng)
    boxes = torch.cat([0.01 + 0.98 * torch.rand(count, 2, generator=rng), sides], 1)
    if count > 1:
        boxes[-1] = boxes[-2]
    return boxes.double(), torch.randint(1, 6, (count,), generator=rng), rng


def corners(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def darknet_v1(scores: Tensor, things: Tensor, shifts: Tensor, boxes: Rows, labels: list[int], side: int) -> float:
    """forward_detection_layer, cell by cell."""
    cost, first = 0.0, {}
    for box, label in zip(boxes, labels):
        first.setdefault((int(box[1] * side), int(box[0] * side)), (box, label))
    for row in range(side):
        for column in range(side):
            cell = row * side + column
            for thing in things[cell].tolist():
                cost += 0.5 * thing**2
            if (row, column) not in first:
                continue
            (x, y, w, h), label = first[row, column]
            for i, score in enumerate(scores[cell].tolist()):
                cost += (score - (i == label - 1)) ** 2
            truth = [(x * side - column) / side, (y * side - row) / side, w, h]
            best, most, nearest = 0, 0.0, 20.0
            for j, (px, py, pw, ph) in enumerate(shifts[cell].tolist()):
                said = [px / side, py / side, pw * pw, ph * ph]
                over, off = share(said, truth), sum((a - b) ** 2 for a, b in zip(said, truth)) ** 0.5
                if most > 0 or over > 0:
                    if over > most:
                        best, most = j, over
                elif off < nearest:
                    best, nearest = j, off
            px, py, pw, ph = shifts[cell, best].tolist()
            thing = float(things[cell, best])
            cost += (thing - share([px / side, py / side, pw * pw, ph * ph], truth)) ** 2 - 0.5 * thing**2
            cost += 5 * ((px - x * side + column) ** 2 + (py - y * side + row) ** 2)
            cost += 5 * ((pw - w**0.5) ** 2 + (ph - h**0.5) ** 2)
    return cost


@pytest.mark.parametrize("count", [0, 1, 6])
def test_the_first_yolo_beside_darknet(count: int) -> None:
    for seed in range(5):
        boxes, labels, rng = random_things(seed, count)
        scores, things = (torch.randn(16, n, generator=rng).double() for n in (5, 2))
        shifts = 0.2 + 0.6 * torch.rand(16, 2, 4, generator=rng).double()
        if seed == 4:
            shifts[..., 2:] *= 0.01  # nothing overlaps
            shifts[..., :2] += 3
        found = grid_loss(scores, things, shifts, corners(boxes), labels)
        want = darknet_v1(scores, things, shifts, boxes.tolist(), labels.tolist(), 4)
        assert float(found) == pytest.approx(want, rel=1e-9)


def test_a_grids_boxes_by_hand() -> None:
    """Of 2 x 2 cells the last one's middle, a quarter of the image wide."""
    shifts = torch.tensor([0.5, 0.5, 0.5, 1.0]).expand(4, 1, 4)
    assert grid_boxes(shifts, 2)[3, 0].tolist() == [0.625, 0.25, 0.875, 1.25]
    assert owners(torch.tensor([2, 0, 2]), 4, first=True).tolist() == [1, -1, 0, -1]
    assert owners(torch.tensor([2, 0, 2]), 4, first=False).tolist() == [1, -1, 2, -1]


MAPS = Anchors(
    sides=(((10.0, 13.0), (16.0, 30.0)), ((60.0, 50.0),)),
    sizes=((4, 6), (2, 3)),
    steps=((16.0, 16.0), (32.0, 32.0)),
    offset=0.5,
)
SIZE = (64, 96)


def sigmoid(x: float) -> float:
    return float(torch.tensor(x, dtype=torch.float64).sigmoid())


def darknet_deltas(act: str, scores: Rows, things: list[float], shifts: Rows, true: Rows, labels: list[int]) -> Any:
    """What region_layer.c and yolo_layer.c leave in l.delta: the falling gradient of scores, things and shifts."""
    places, rows = {}, 0
    for some, (h, w), (step, _) in zip(MAPS.sides, MAPS.sizes, MAPS.steps):
        for y in range(h):
            for x in range(w):
                for side in some:
                    places[rows] = (x, y, step, side)
                    rows += 1

    def said(i: int) -> list[float]:
        x, y, step, (w, h) = places[i]
        sx, sy, sw, sh = shifts[i]
        grown = [float(torch.tensor(z, dtype=torch.float64).exp()) for z in (sw, sh)]
        return [(x + sigmoid(sx)) * step, (y + sigmoid(sy)) * step, w * grown[0], h * grown[1]]

    told: Rows = [[0.0] * 5 for _ in range(rows)]
    held, moved = [0.0] * rows, [[0.0] * 4 for _ in range(rows)]
    soft = act == "softmax"
    for i in range(rows):
        s = sigmoid(things[i])
        over = max((share(said(i), one) for one in true), default=0.0)
        held[i] = 0.0 if over > (0.6 if soft else 0.7) else (0 - s) * (s * (1 - s) if soft else 1)
    for one, label in zip(true, labels):
        mine = [i for i, (x, y, step, _) in places.items() if (int(one[0] / step), int(one[1] / step)) == (x, y)]
        i = max(mine, key=lambda i: share([0, 0, *places[i][3]], [0, 0, *one[2:]]))
        x, y, step, side = places[i]
        scale = 2 - one[2] * one[3] / (SIZE[0] * SIZE[1])
        for axis, low in ((0, x), (1, y)):
            s = sigmoid(shifts[i][axis])
            moved[i][axis] = scale * (one[axis] / step - low - s) * (s * (1 - s) if soft else 1)
            moved[i][2 + axis] = scale * (log(one[2 + axis] / side[axis]) - shifts[i][2 + axis])
        s = sigmoid(things[i])
        held[i] = 5 * (share(said(i), one) - s) * s * (1 - s) if soft else 1 - s
        row = torch.tensor(scores[i], dtype=torch.float64)
        chances = (row.softmax(0) if soft else row.sigmoid()).tolist()
        told[i] = [(j == label - 1) - chance for j, chance in enumerate(chances)]
    return told, held, moved


@pytest.mark.parametrize("act", ["softmax", "sigmoid"])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_later_yolos_have_darknets_gradients(act: Any, count: int) -> None:
    cells = cells_of(MAPS, torch.device("cpu"))
    cells = cells._replace(**{name: x.double() for name, x in cells._asdict().items()})
    for seed in range(4):
        boxes, labels, rng = random_things(seed, count)
        true = boxes * torch.tensor([SIZE[1], SIZE[0]] * 2)
        said = [torch.randn(54, *n, generator=rng).double().requires_grad_() for n in ((5,), (), (4,))]
        cells_loss(*said, cells, SIZE, corners(true), labels, act).backward()
        want = darknet_deltas(act, *(x.tolist() for x in said), true.tolist(), labels.tolist())
        for x, delta in zip(said, want):
            torch.testing.assert_close(-(0 * x if x.grad is None else x.grad), torch.tensor(delta).double())


def test_boxes_of_cells_are_those_that_the_network_gives() -> None:
    arch = archdsl.load("yolo_v2_voc", size=64)
    plan = archdsl.compile(arch)
    op: Any = next(node.op for node in plan.nodes if isinstance(node.op, Anchors))
    boxes = anchor_boxes(op.sides, op.sizes, op.steps, op.offset)[None, :, None, :, None]
    shifts = torch.randn(boxes.shape)
    want = cell_boxes(shifts, boxes, (boxes.shape[3],), (32.0,))[0, :, 0, :, 0].T
    torch.testing.assert_close(cells_of(op, torch.device("cpu")).boxes(shifts[0, :, 0, :, 0].T), want)


# DETR


@pytest.mark.parametrize("seed", range(6))
def test_the_least_cost_is_scipys(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="pip install scipy")
    rng = torch.Generator().manual_seed(seed)
    rows, columns = 1 + 2 * seed, 12
    costs = torch.randn(rows, columns, generator=rng, dtype=torch.float64)
    costs = costs.round() if seed % 2 else costs  # many are equal
    found = least_cost(costs.tolist())
    assert len({*found}) == rows
    at, to = optimize.linear_sum_assignment(costs.numpy())
    assert float(costs[range(rows), found].sum()) == pytest.approx(float(costs[at, to].sum()))
    if seed % 2 == 0:
        assert found == to.tolist()


def test_the_least_cost_of_all_there_are() -> None:
    """The nearest column for each in turn would cost more; no rows, no columns."""
    assert least_cost([[1, 2, 9], [1, 5, 9], [0, 1, 1]]) == [1, 0, 2]
    assert least_cost([]) == []


def test_general_overlaps_by_hand() -> None:
    """Half of each, and beside each other with a gap as wide."""
    one = torch.tensor([[0.0, 0, 2, 1]])
    assert general_overlaps(one, torch.tensor([[1.0, 0, 3, 1], [4, 0, 6, 1]]))[0].tolist() == pytest.approx(
        [1 / 3, -1 / 3]
    )


def queries(seed: int, things: list[int]) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """What 12 queries say of pictures with so many things of 4 classes."""
    rng = torch.Generator().manual_seed(seed)
    scores, boxes = torch.randn(len(things), 12, 5, generator=rng), torch.rand(len(things), 12, 4, generator=rng)
    boxes[..., 2:] = 0.05 + 0.4 * boxes[..., 2:]
    true = []
    for i, count in enumerate(things):
        found, labels, _ = random_things(10 * seed + i, count)
        true.append((found.float(), labels - 1))
        true[-1][1].clamp_(max=3)
    return scores, boxes, true


@pytest.mark.parametrize("things", [[0, 0], [1, 0], [5, 12, 3]])
def test_a_set_loss_is_that_of_transformers(torchvision: Any, things: list[int]) -> None:
    """Of a whole batch, whose things and queries are counted together; of two equal things either may be first."""
    pytest.importorskip("scipy", reason="pip install scipy")
    module = pytest.importorskip("transformers.loss.loss_for_object_detection", reason="pip install transformers")
    scores, boxes, true = queries(3, things)
    sums = torch.stack([set_loss(*said, *known) for said, known in zip(zip(scores, boxes), true)]).sum(0)
    amounts = torch.stack([set_amounts(12, known) for known, _ in true]).sum(0)
    matcher = module.HungarianMatcher(class_cost=1, bbox_cost=5, giou_cost=2)
    losses = module.ImageLoss(matcher, num_classes=4, eos_coef=0.1, losses=["labels", "boxes"])
    targets = [{"boxes": known, "class_labels": labels} for known, labels in true]
    found = losses({"logits": scores, "pred_boxes": boxes}, targets)
    want = found["loss_ce"] + 5 * found["loss_bbox"] + 2 * found["loss_giou"]
    torch.testing.assert_close((sums / amounts.clamp(min=1)).sum(), want, atol=1e-5, rtol=1e-5)


def test_more_things_than_queries_are_cut() -> None:
    scores, boxes, true = queries(5, [12])
    known, labels = true[0]
    match = set_match(scores[0, :3], boxes[0, :3], known, labels)
    assert sorted(match.tolist()) == [0, 1, 2]
    assert set_amounts(3, known).tolist() == [30, 3]
    assert set_loss(scores[0, :3], boxes[0, :3], known, labels).isfinite().all()


def test_a_batchs_loss_counts_its_things_together() -> None:
    """Two micro-batches give what the whole gives; ignored things do not count."""
    arch = archdsl.load("detr_r50", height=64, width=64, queries=6, classes=12)
    task: Any = task_for(archdsl.compile(arch), recipe("smoke"))
    rng = torch.Generator().manual_seed(1)
    outputs = {"scores": torch.randn(2, 12, 1, 6, 1, generator=rng), "boxes": torch.rand(2, 4, 1, 6, 1, generator=rng)}
    boxes = [torch.tensor([[0.0, 0, 20, 20], [30, 30, 60, 50]]), torch.tensor([[5.0, 5, 9, 9]])]
    targets = {
        "boxes": [[boxes[0]], [boxes[1]]],
        "labels": [[torch.tensor([1, 2])], [torch.tensor([3])]],
        "ignored": [[torch.tensor([False, True])], [torch.tensor([False])]],
        "at": [[torch.zeros(2, dtype=torch.long)], [torch.zeros(1, dtype=torch.long)]],
        "labelled": torch.ones(2, 1),
        "seed": torch.zeros(2, dtype=torch.long),
    }
    batch = Batch(torch.zeros(2), targets, torch.ones(2), (0, 1), (), (), (), 0.0)
    amounts = task.amounts(batch)
    assert amounts.tolist() == [[15, 1], [15, 1]]
    whole = task.loss(outputs, batch, amounts.sum(0))
    parts = []
    for i in range(2):
        one = {name: [x[i]] if isinstance(x, list) else x[i : i + 1] for name, x in targets.items()}
        part = batch._replace(targets=one, weights=torch.ones(1))
        parts.append(task.loss({name: x[i : i + 1] for name, x in outputs.items()}, part, amounts.sum(0)))
    torch.testing.assert_close(torch.cat(parts), whole)
