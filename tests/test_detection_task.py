"""Boxes of things in frames: losses and figures beside plain definitions and the benchmarks' rules; folders; runs."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.blocks import AvgPool, Conv, FlattenSpace, Linear
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import AnchorDetector, Arch, Clip, Detector, GridDetector, Pathway, SetDetector, Stage
from archdsl.language.recipes.optimizer import Optimizer, Schedule
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.rewrites import with_key_frames
from archdsl.training import Run
from archdsl.training.batches import split_batch, train_batches
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedFrames
from archdsl.training.data.annotations.boxes.boxes_beside import file_with_boxes
from archdsl.training.data.annotations.boxes.vid_folder import VID_CLASSES
from archdsl.training.data.clips import Batch, ClipRequest, Unreadable
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.targets import tensors_of
from archdsl.training.data.transforms.geometry import fitted_cut
from archdsl.training.data.transforms.moves import move_boxes, move_labels
from archdsl.training.evaluation.boxes.box_precision import FoundFrame, box_precisions
from archdsl.training.evaluation.boxes.found_boxes import FoundBoxes, found_boxes, moved_boxes, suppress
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.boxes.action_detection import ActionDetection
from archdsl.training.tasks.boxes.detection import Detection
from archdsl.training.tasks.boxes.detectors import FrameTruth
from archdsl.training.tasks.boxes.region_losses import (
    anchor_targets,
    anchors_on,
    keyed_draw,
    proposal_loss,
    random_keys,
    region_loss,
    shifts_between,
)
from archdsl.training.tasks.choice import default_recipe, task_for
from tests import test_action_detection
from tests.filmed import film, numbered_frames
from tests.processes import told_by_two
from tests.trained import losses, short

WIDE = torch.float64


def tiny(frames: int = 2, size: int = 32, classes: int = 11) -> Arch:
    """R-FCN on two convolutions: a map at a quarter of the frames' size."""
    stages = dict(
        stem=Stage(Conv(channels=8, kernel=(1, 5, 5), stride=(1, 2, 2))),
        res2=Stage(Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2))),
    )
    head = Detector(classes=classes, size=3, scales=(2.0,), ratios=(1.0, 1.5), candidates=40, count=12)
    clip = Clip(frames=frames, size=size)
    return Arch(name="tiny_rfcn", clip=clip, pathways=dict(features=Pathway(stages=stages)), head=head)


def moving(every: int = 2, **given: Any) -> Arch:
    """The same with a key frame in so many."""
    conv = Conv(channels=8, kernel=(1, 5, 5), stride=(1, 2, 2))
    flow = dict(pool=Stage(AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2))), net=Stage(conv))
    return with_key_frames(tiny(every, **given), every=every, flow=Pathway(stages=flow), name="tiny_dff")


def task_of(arch: Arch, **options: Any) -> Detection:
    made = task_for(archdsl.compile(arch), recipe("smoke").but(task={"detection": options}))
    assert isinstance(made, Detection)
    return made


def overlap_of(one: Any, other: Any, pixel: float) -> float:
    width = max(min(one[2], other[2]) - max(one[0], other[0]) + pixel, 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]) + pixel, 0)
    areas = [(x[2] - x[0] + pixel) * (x[3] - x[1] + pixel) for x in (one, other)]
    common = float(width * height)
    return common / (areas[0] + areas[1] - common) if areas[0] + areas[1] > common else 0.0


def random_boxes(rng: torch.Generator, count: int, side: float = 100.0) -> Tensor:
    return (torch.rand(count, 2, 2, generator=rng, dtype=WIDE) * side).sort(1).values.flatten(1)


# suppression and decoding


@pytest.mark.parametrize("pixel", [0.0, 1.0])
def test_suppression_by_hand_and_beside_plain_loops(pixel: float) -> None:
    """What is left is what pairwise comparison leaves; equal scores in their order, none of none."""
    rng = torch.Generator().manual_seed(1)
    boxes = random_boxes(rng, 40, 30)
    scores = torch.rand(40, generator=rng).mul(8).floor()  # many are equal
    left: list[int] = []
    for i in sorted(range(40), key=lambda i: -float(scores[i])):
        if all(overlap_of(boxes[i].tolist(), boxes[j].tolist(), pixel) <= 0.3 for j in left):
            left.append(i)
    assert suppress(boxes, scores, 0.3, pixel).tolist() == left
    assert suppress(torch.zeros(0, 4), torch.zeros(0), 0.3).tolist() == []


def test_boxes_go_back_where_shifts_between_them_say() -> None:
    rng = torch.Generator().manual_seed(2)
    one, other = random_boxes(rng, 20), random_boxes(rng, 20)
    torch.testing.assert_close(moved_boxes(one, shifts_between(one, other)), other)
    by_hand = shifts_between(torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([[5.0, 0, 24, 9]]))
    torch.testing.assert_close(by_hand, torch.tensor([[1.0, 0, log(2), 0]]))


def test_found_boxes_are_suppressed_by_class_and_lie_in_the_frame() -> None:
    boxes = torch.tensor([[-5.0, 0, 9, 9], [0, 0, 9, 9], [20, 20, 29, 45]])
    chances = torch.tensor([[0.0, 0.1, 0.2], [0.9, 0.8, 0.0], [0.1, 0.1, 0.8]])
    found = found_boxes(boxes, chances, (40, 40), least=0.05, overlap=0.3, most=3)
    assert found.labels.tolist() == [1, 2, 2]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.8, 0.1]))
    assert found.boxes.tolist() == [[0, 0, 10, 10], [20, 20, 30, 40], [0, 0, 10, 10]]


# targets of the losses


def test_anchors_are_those_of_the_proposals() -> None:
    """As Deep-Feature-Flow has them: ratios, then scales; all anchors of one kind side by side."""
    task = task_of(archdsl.load("rfcn_r101"))
    first = torch.tensor(task.kind.op_of(ops.Proposals).anchors)
    assert first[0].tolist() == [-84, -40, 99, 55]
    assert first[-1].tolist() == [-168, -344, 183, 359]
    laid = anchors_on((3, 4), 16, first)
    assert laid.shape == (9 * 12, 4)
    torch.testing.assert_close(laid[12 + 4 + 2], first[1] + torch.tensor([32.0, 16, 32, 16]))


def labels_slowly(anchors: Tensor, boxes: Tensor, height: int, width: int) -> list[int]:
    """Before any are drawn: 1 thing, 0 none, -1 does not count (Ren et al., assign_anchor of the authors' code)."""
    found = []
    inside = [a[0] >= 0 and a[1] >= 0 and a[2] < width and a[3] < height for a in anchors.tolist()]
    shares = [[overlap_of(a, b, 1) for b in boxes.tolist()] for a in anchors.tolist()]
    best = [max((row[j] for row, one in zip(shares, inside) if one), default=0) for j in range(len(boxes))]
    for row, one in zip(shares, inside):
        most = max(row, default=0)
        top = any(row[j] == best[j] > 0 for j in range(len(boxes)))
        found.append(-1 if not one else 1 if top or most >= 0.7 else 0 if most < 0.3 else -1)
    return found


@pytest.mark.parametrize("things", [0, 1, 3])
def test_anchor_targets_beside_a_plain_definition(things: int) -> None:
    """A thing that no anchor overlaps makes no anchor one, though 0 is then its best."""
    rng = torch.Generator().manual_seed(things)
    anchors = random_boxes(rng, 60, 50).float() - 5
    boxes = random_boxes(rng, things, 40).float()
    boxes[:1] = torch.tensor([200.0, 200, 210, 210])
    found = anchor_targets(anchors, boxes, (40, 44), random_keys(torch.tensor(3), 60))
    assert found.labels.tolist() == labels_slowly(anchors, boxes, 40, 44)
    wider = anchor_targets(anchors, boxes, (40, 44), random_keys(torch.tensor(3), 60), border=4)
    assert wider.labels.tolist() == labels_slowly(anchors + 4, boxes + 4, 48, 52)
    assert (wider.labels == -1).sum() < (found.labels == -1).sum()


def test_256_anchors_are_drawn_half_of_them_things_at_most() -> None:
    """Which ones follows from the seed, evenly."""
    anchors = torch.tensor([[4.0, 4, 13, 13]]).repeat(900, 1)
    anchors[:300] = torch.tensor([20.0, 20, 29, 29])
    boxes = torch.tensor([[20.0, 20, 29, 29]])
    drawn = [anchor_targets(anchors, boxes, (40, 40), random_keys(torch.tensor(s), 900)).labels for s in range(40)]
    for one in drawn:
        assert (int((one == 1).sum()), int((one == 0).sum())) == (128, 128)
        assert not (one[300:] == 1).any()
    often = torch.stack(drawn).ge(0).sum(0)
    assert often[:300].min() > 5
    assert often[:300].max() < 30
    assert len({tuple(one.tolist()) for one in drawn}) == 40
    few = keyed_draw(torch.ones(5, dtype=torch.bool), random_keys(torch.tensor(0), 5), 9)
    assert few.all()


def test_the_loss_of_proposals_by_hand() -> None:
    """Two anchors on a map of one element, of which one is the thing: the mean of both, and shifts over 256."""
    anchors = torch.tensor([[0.0, 0, 9, 9], [20, 20, 29, 29]])
    boxes = torch.tensor([[1.0, 0, 10, 9]])
    scores = torch.tensor([2.0, 0, 0, 1]).view(4, 1, 1)  # background of both, thing of both
    shifts = torch.zeros(8, 1, 1)
    keys, units = random_keys(torch.tensor(0), 2), torch.tensor([0.1, 0.1, 0.4, 0.4])
    loss = proposal_loss(scores, shifts, anchors, boxes, (40, 40), keys, units)
    told = (log(1 + 2.718281828459045**2) + log(1 + 2.718281828459045)) / 2
    assert float(loss) == pytest.approx(told + 0.5 / 256, rel=1e-5)  # a tenth of the width, in tenths: 1, of which .5
    none = proposal_loss(scores, shifts, anchors, boxes[:0], (40, 40), keys, units)
    assert float(none) == pytest.approx((log(1 + 2.718281828459045**-2) + log(1 + 2.718281828459045)) / 2, rel=1e-5)


def test_only_the_hardest_proposals_are_learnt() -> None:
    """Zeros are no proposals; where there are fewer than are learnt, shifts still count over all."""
    proposals = torch.tensor([[0.0, 0, 9, 9], [1, 0, 10, 9], [30, 30, 39, 39], [0, 0, 0, 0]])
    boxes, labels = torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([2])
    chances = torch.tensor([[0.1, 0.2, 0.9, 0.1], [0.2, 0.2, 0.05, 0.1], [0.7, 0.6, 0.05, 0.8]]).requires_grad_()
    shifts, units = torch.zeros(8, 4).requires_grad_(), torch.tensor([0.1, 0.1, 0.2, 0.2])
    told = [-log(0.7), -log(0.6), -log(0.9)]
    whole = region_loss(chances, shifts, proposals, boxes, labels, units, 4)
    assert float(whole.detach()) == pytest.approx(sum(told) / 3 + 0.5 / 4, rel=1e-5)
    hardest = region_loss(chances, shifts, proposals, boxes, labels, units, 1)
    assert float(hardest.detach()) == pytest.approx(told[1] + 0.5, rel=1e-5)
    hardest.backward()
    assert chances.grad is not None
    assert shifts.grad is not None
    assert (chances.grad != 0).nonzero().tolist() == [[2, 1]]
    assert (shifts.grad != 0).nonzero().tolist() == [[4, 1]]
    nothing = region_loss(chances, shifts, proposals, boxes[:0], labels[:0], units, 4)
    assert float(nothing.detach()) == pytest.approx((-log(0.1) - log(0.2) - log(0.9)) / 3, rel=1e-5)


# figures


def frame_of(true: list[Any], found: list[Any], ignored: tuple[int, ...] = ()) -> FoundFrame:
    """From (box, class) and (box, class, score)."""
    boxes, true_boxes = (torch.tensor([one[0] for one in some], dtype=WIDE).reshape(-1, 4) for some in (found, true))
    labels, true_labels = (torch.tensor([one[1] for one in some], dtype=torch.long) for some in (found, true))
    scores = torch.tensor([one[2] for one in found])
    marks = torch.tensor([i in ignored for i in range(len(true))], dtype=torch.bool)
    return FoundFrame(boxes, labels, scores, true_boxes, true_labels, marks)


def edges(x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
    """A box by its first and last pixels."""
    return x1, y1, x2 + 1, y2 + 1


def test_vid_by_hand() -> None:
    """Small things need less; a box takes what is still free (the authors' vid_eval on these frames gives 1 and 1)."""
    one = frame_of(
        [(edges(10, 10, 19, 19), 1), (edges(40, 20, 79, 59), 2)],
        [
            (edges(14, 13, 23, 22), 1, 0.9),
            (edges(40, 20, 79, 49), 2, 0.8),
            (edges(40, 20, 79, 59), 2, 0.7),
        ],
    )
    other = frame_of(
        [(edges(12, 10, 51, 49), 1), (edges(20, 10, 59, 49), 1)],
        [(edges(14, 10, 53, 49), 1, 0.6), (edges(12, 10, 51, 49), 1, 0.5), (edges(0, 0, 30, 30), 1, 0.4)],
    )
    assert box_precisions([one, other], 1, "vid") == {"map": 1.0}
    assert box_precisions([one, other], 2, "vid") == {"map": 1.0}
    assert box_precisions([other], 1, "voc")["map"] == pytest.approx(0.5)  # the second may only take the first thing


def test_difficult_things_are_neither_found_nor_missed() -> None:
    frame = frame_of(
        [((0, 0, 10, 10), 1), ((20, 20, 30, 30), 1)], [((0, 0, 10, 10), 1, 0.9), ((50, 50, 60, 60), 1, 0.5)], (0,)
    )
    assert box_precisions([frame], 1, "voc") == {"map": 0.0}
    hit = frame_of([((0, 0, 10, 10), 1)], [((0, 0, 10, 10), 1, 0.9)])
    assert box_precisions([frame, hit], 1, "voc") == {"map": pytest.approx(0.5)}
    assert box_precisions([frame, hit], 1, "voc07") == {"map": pytest.approx(6 / 11)}


def random_frames(seed: int, crowds: bool) -> list[FoundFrame]:
    rng, draw = torch.Generator().manual_seed(seed), Random(seed)
    frames = []
    for _ in range(4):
        true, n = draw.choice([0, 1, 2, 5]), draw.choice([0, 1, 7, 20])
        boxes, known = random_boxes(rng, n), random_boxes(rng, true)
        if true:
            near = known[torch.arange(n) % true] + 3 * torch.randn(n, 4, generator=rng, dtype=WIDE)
            boxes = torch.where(torch.rand(n, 1, generator=rng) < 0.8, near, boxes)
            boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
        n = len(boxes)
        labels, known_labels = (torch.randint(1, 3, (many,), generator=rng) for many in (n, true))
        ignored = torch.rand(true, generator=rng) < 0.25 * crowds
        frames.append(FoundFrame(boxes, labels, torch.rand(n, generator=rng), known, known_labels, ignored))
    return frames


def coco_slowly(frames: list[FoundFrame], label: int, threshold: float) -> float:
    """pycocotools' evaluateImg and accumulate, step by step."""
    rows, positives = [], 0
    for frame in frames:
        mine = [(b.tolist(), float(s)) for b, kind, s in zip(*frame[:3]) if kind == label]
        true = [(b.tolist(), bool(c)) for b, kind, c in zip(*frame[3:]) if kind == label]
        true.sort(key=lambda one: one[1])
        positives += sum(not crowd for _, crowd in true)
        taken: set[int] = set()
        for box, score in sorted(mine, key=lambda one: -one[1])[:100]:
            best, place = threshold, None
            for j, (other, crowd) in enumerate(true):
                if j in taken and not crowd:
                    continue
                if place is not None and not true[place][1] and crowd:
                    break
                share = overlap_of(box, other, 0)
                if crowd:
                    w = min(box[2], other[2]) - max(box[0], other[0])
                    h = min(box[3], other[3]) - max(box[1], other[1])
                    share = max(w, 0) * max(h, 0) / ((box[2] - box[0]) * (box[3] - box[1]))
                if share >= best:
                    best, place = share, j
            if place is not None:
                taken.add(place)
            if place is None or not true[place][1]:
                rows.append((score, place is not None))
    rows.sort(key=lambda row: -row[0])
    if not positives:
        return float("nan")
    hits = [sum(hit for _, hit in rows[: k + 1]) for k in range(len(rows))]
    points = [(hit / positives, hit / (k + 1)) for k, hit in enumerate(hits)]
    levels = [i / 100 for i in range(101)]
    return sum(max((p for r, p in points if r >= level - 1e-12), default=0) for level in levels) / 101


@pytest.mark.parametrize("seed", range(4))
def test_coco_ap_beside_its_own_rules(seed: int) -> None:
    """Crowds take any number of boxes. (pycocotools 2.0.11 itself gives the same on random frames.)"""
    frames = random_frames(seed, crowds=True)
    for label in (1, 2):
        found = box_precisions(frames, label, "coco")
        wanted = [coco_slowly(frames, label, i / 100) for i in range(50, 100, 5)]
        expected = {"ap": sum(wanted) / 10, "ap50": wanted[0], "ap75": wanted[5]}
        assert found == pytest.approx(expected, nan_ok=True)


def pascal_slowly(frames: list[FoundFrame], label: int, rule: str) -> float:
    """All boxes of the class by score; of `vid` each takes the best thing that is free, of `voc` the best."""
    things = [[(b.tolist(), bool(d)) for b, kind, d in zip(*frame[3:]) if kind == label] for frame in frames]
    found = [(float(s), i, b.tolist()) for i, f in enumerate(frames) for b, kind, s in zip(*f[:3]) if kind == label]
    taken: set[tuple[int, int]] = set()
    rows = []
    for _, i, box in sorted(found, key=lambda one: -one[0]):
        shares = {j: overlap_of(box, other, 0) for j, (other, _) in enumerate(things[i])}
        sides = [(b[2] - b[0], b[3] - b[1]) for b, _ in things[i]]
        if rule == "vid":
            free = {j: s for j, s in shares.items() if (i, j) not in taken}
            free = {
                j: s
                for j, s in free.items()
                if s >= min(0.5, sides[j][0] * sides[j][1] / ((sides[j][0] + 10) * (sides[j][1] + 10)))
            }
            best = max(free, key=lambda j: free[j], default=None)
            rows.append(best is not None)
            taken |= {(i, best)} if best is not None else set()
            continue
        best = max(shares, key=lambda j: shares[j], default=None)
        if best is None or shares[best] < 0.5:
            rows.append(False)
        elif not things[i][best][1]:
            rows.append((i, best) not in taken)
            taken.add((i, best))
    positives = sum(rule == "vid" or not d for some in things for _, d in some)
    if not positives:
        return float("nan")
    hits = [sum(rows[: k + 1]) for k in range(len(rows))]
    return sum(max(hits[m] / (m + 1) for m in range(k, len(rows))) for k, hit in enumerate(rows) if hit) / positives


@pytest.mark.parametrize("rule", ["vid", "voc"])
@pytest.mark.parametrize("seed", range(4))
def test_vid_and_voc_beside_their_own_rules(seed: int, rule: str) -> None:
    frames = random_frames(seed, crowds=rule == "voc")
    for label in (1, 2):
        found, wanted = box_precisions(frames, label, rule)["map"], pascal_slowly(frames, label, rule)
        assert found == pytest.approx(wanted, nan_ok=True)


# batches and the loss of the task


def batch_of(task: Detection, data: str, **changes: Any) -> Batch:
    task.recipe = short(steps=1, **changes).but(task="detection")
    device, clips = torch.device("cpu"), task.plan.arch.clips
    videos = task.videos(data, "train")
    feed = train_batches(videos, task.recipe, clips, task=task, start=0, steps=1, device=device, skips=SkippedVideos())
    return next(feed)


def test_boxes_lie_on_digits_after_crops_and_mirror_images() -> None:
    crop = {"corners": {"scales": [0.7, 0.9]}}
    batch = batch_of(task_of(tiny()), "motion:16", augment={"flip": 0.5, "crop": crop})
    assert isinstance(batch.clips, Tensor)
    met = 0
    for row, (boxes,) in enumerate(batch.targets["boxes"]):
        (at,), (whole,) = batch.targets["at"][row], batch.targets["true_boxes"][row]
        assert len(at) == len(boxes) <= len(whole)
        for frame, (x1, y1, x2, y2) in zip(at.tolist(), boxes.round().int().tolist()):
            if (x2 - x1) * (y2 - y1) > 40:
                met += 1
                assert (batch.clips[row, :, frame].amin(0)[y1:y2, x1:x2] > 0.1).any()
    assert met > 20


def test_the_loss_is_the_mean_over_labelled_frames_whatever_the_micro_batches() -> None:
    """Random choices hang on clips, not on their place; a batch without labelled frames has no loss."""
    task = task_of(tiny())
    batch = batch_of(task, "motion:16", augment={"flip": 0, "crop": "middle"})
    batch.targets["labelled"][0, 1] = 0
    torch.manual_seed(0)
    outputs = archdsl.build(task.plan)(batch.clips)
    totals = task.amounts(batch).sum()
    assert totals == 15
    whole = task.loss(outputs, batch, totals).sum()
    parts = []
    for i, (part, _) in enumerate(split_batch(batch, 4)):
        parts.append(task.loss({k: x[2 * i : 2 * i + 2] for k, x in outputs.items()}, part, totals).sum())
    torch.testing.assert_close(torch.stack(parts).sum(), whole)
    frames = [task.clip_loss(outputs, row, known) for row, known in enumerate(task.truths(batch))]
    torch.testing.assert_close(torch.stack(frames).sum() / 15, whole)
    batch.targets["labelled"].zero_()
    nothing = task.loss(outputs, batch, task.amounts(batch).sum()).sum()
    nothing.backward()
    assert nothing == 0


def test_the_gradient_reaches_the_flow_net() -> None:
    """Of a frame behind its key frame; of a key frame alone it does not."""
    task = task_of(moving())
    batch = batch_of(task, "motion:8", augment={"flip": 0, "crop": "middle"})
    torch.manual_seed(0)
    network = archdsl.build(task.plan)
    reached = {}
    for at in (0, 1):
        batch.targets["labelled"].zero_()
        batch.targets["labelled"][:, at] = 1
        network.zero_grad(set_to_none=False)
        for weights in network.parameters():
            weights.grad = torch.zeros_like(weights)
        task.loss(network(batch.clips), batch, task.amounts(batch).sum()).sum().backward()
        reached[at] = {name for name, weights in network.named_parameters() if weights.grad.any()}
    flow = {name for name, _ in network.named_parameters() if name.startswith(("flow.", "edges."))}
    assert len(flow) >= 6
    assert not flow & reached[0]
    assert flow <= reached[1]
    assert any(name.startswith("features.") for name in reached[1])


def test_a_flow_that_has_learnt_nothing_holds_the_key_frame() -> None:
    """What is said of a frame behind it is nearly what is said of the key frame, whatever stands in it."""
    torch.manual_seed(0)
    network = archdsl.build(moving()).eval()
    key, held = network(torch.rand(2, 3, 2, 32, 32))["anchor_scores"].unbind(2)
    far = (key - key.flip(3)).norm()
    assert 0 < (held - key).norm() < 0.1 * far


def test_memory_of_targets_is_enough_for_many_boxes() -> None:
    task = task_of(tiny())
    batch = batch_of(task, "motion:8", augment={"flip": 0, "crop": "middle"})
    taken = sum(x.numel() * x.element_size() for x in tensors_of(batch.targets))
    assert taken < len(batch.weights) * task.target_bytes() < 20 * taken


def test_networks_of_two_classes_find_any_digit() -> None:
    """As those of persons do."""
    task = task_of(tiny(classes=2))
    scenes = task.built_in("motion:4", "train")
    task.check_classes(scenes.classes)
    assert scenes.classes == ("background", "digit")
    labels = torch.cat([scenes.read(i, ClipRequest(0)).targets["labels"][0] for i in range(4)])
    assert set(labels.tolist()) == {1}


def test_views_and_classes_that_do_not_fit_are_refused() -> None:
    task = task_of(tiny(classes=5))
    with pytest.raises(SpecError) as caught:
        task.check_classes(task.built_in("motion:1", "train").classes)
    assert caught.value.faults[0].fix == "--classes 11"
    task.recipe = task.recipe.but(views=task.recipe.views.but(crops=3))
    with pytest.raises(SpecError, match="boxes of several views"):
        task.videos("motion:1", "train")


def test_recipes_are_the_authors() -> None:
    arch = archdsl.load("dff_r101_rfcn")
    assert default_recipe(arch, "motion").name == "smoke"
    made = default_recipe(arch, "ILSVRC2015")
    assert made.name == "resnet_v1_101_imagenet_vid_rfcn_end2end_ohem"
    assert (made.epochs, made.batch, made.optimizer.rate, made.optimizer.rate_for(1)) == (2, 4, 0.00025, 0.00025)
    rates = [made.rate_at(round(epoch * 250), 1000) for epoch in (0, 1.33, 1.34, 1.99)]
    assert rates == pytest.approx([0.001, 0.001, 0.0001, 0.0001])  # four pictures' gradients are added up
    flow = recipe("resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem")
    assert [one.match for one in flow.optimizer.groups][2:] == ["edges.*.scale.bias"]
    assert flow.optimizer.rate_for(4) == made.optimizer.rate_for(4)


# frames fitted whole


def test_a_fitted_frame_is_whole_and_its_boxes_move_with_it() -> None:
    """60 x 40 into 32 x 32: half of the width's pixels, the rest of the height a bar."""
    cut = fitted_cut((40, 64), (32, 32))
    x = torch.zeros(1, 1, 40, 64)
    x[..., 10:20, 40:60] = 8
    y = cut.of(x)
    assert (cut.rows.covered, cut.columns.covered) == (20, 32)
    assert (y[0, 0, 20:] == 0).all()
    inner = y[0, 0, 6:9, 21:29]
    torch.testing.assert_close(inner, torch.full_like(inner, 8))
    assert move_boxes(torch.tensor([[40.0, 10, 60, 20]]), cut).tolist() == [[20, 5, 30, 10]]
    assert move_boxes(torch.tensor([[40.0, 10, 60, 20]]), cut.flipped()).tolist() == [[2, 5, 12, 10]]
    high = fitted_cut((64, 40), (32, 32)).flipped()
    ones = high.without_bars(torch.ones(1, 1, 32, 32))
    assert ones[0, 0, 0].tolist() == [0.0] * 12 + [1.0] * 20
    assert (move_labels(torch.zeros(64, 40, dtype=torch.uint8), high)[0] == 255).tolist() == [True] * 12 + [False] * 20
    same = fitted_cut((32, 32), (32, 32))
    assert torch.equal(same.of(ones), ones)


# folders


def jpeg(path: Path, size: tuple[int, int] = (24, 32), value: int = 90) -> None:
    """A picture; its bytes are a PNG's, which decoders know by their beginning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(torch.full((3, *size), value, dtype=torch.uint8)))


def xml(path: Path, *things: tuple[str, Any], tail: str = "</annotation>") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["<annotation>"]
    for name, (x1, y1, x2, y2) in things:
        box = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        rows.append(f"<object><name>{name}</name><bndbox>{box}</bndbox></object>")
    path.write_text("\n".join([*rows, tail]))


CAR, DOG = "n02958343", "n02084071"


@pytest.fixture
def vid(tmp_path: Path) -> Path:
    """A snippet of five frames and a still to train on, a snippet of three to test on."""
    root = tmp_path / "ILSVRC2015"
    sets = root / "ImageSets"
    sets.mkdir(parents=True)
    (sets / "DET_train_30classes.txt").write_text("train/a/still 1\n")
    (sets / "VID_train_15frames.txt").write_text("train/s 1 4 5\n")
    (sets / "VID_val_videos.txt").write_text("val/v 1 0 3\n")
    jpeg(root / "Data/DET/train/a/still.JPEG")
    xml(root / "Annotations/DET/train/a/still.xml", (DOG, (2, 3, 11, 13)), ("n00000001", (0, 0, 3, 3)))
    for kind, count in (("train/s", 5), ("val/v", 3)):
        for i in range(count):
            jpeg(root / f"Data/VID/{kind}/{i:06d}.JPEG", value=20 * i)
            xml(root / f"Annotations/VID/{kind}/{i:06d}.xml", (CAR, (i, 2, i + 9, 13)))
    return tmp_path


def test_vid_pairs_a_labelled_frame_with_one_before_it(vid: Path) -> None:
    """A clip begins at the key frame, 0 to 9 frames before; of two frames the second may lie further behind."""
    two = task_of(moving(classes=31), mirrored=True).files(str(vid), "train")
    assert isinstance(two, BoxedFrames)
    assert (len(two), two.classes[:3], len(two.classes)) == (4, ("background", "airplane", "antelope"), 31)
    assert [two.name(i) for i in range(4)] == [
        "train/a/still",
        "train/s/000004",
        "train/a/still mirrored",
        "train/s/000004 mirrored",
    ]
    met = set()
    for seed in range(60):
        sample = two.read(1, ClipRequest(seed, training=True))
        values = sample.frames["clip"][0, :, 0, 0].tolist()
        label = sample.targets["labelled"].tolist()
        met.add(tuple(values))
        assert values[label.index(1)] == 80
        assert sample.targets["boxes"][0].tolist() == [[4, 2, 14, 14]]
        assert sample.targets["labels"][0].tolist() == [7]
        assert (label == [1, 0]) == (values == [80, 80])
    assert met == {(20 * i, 80) for i in range(5)}
    five = task_of(moving(5, classes=31)).files(str(vid), "train")
    starts = {five.read(1, ClipRequest(seed, training=True)).targets["labelled"].argmax().item() for seed in range(60)}
    assert starts == {0, 1, 2, 3, 4}
    still = two.read(0, ClipRequest(0, training=True))
    assert still.targets["labelled"].tolist() == [1, 0]
    assert still.targets["boxes"][0].tolist() == [[2, 3, 12, 14]]
    mirrored = two.read(2, ClipRequest(0, training=True))
    assert mirrored.targets["boxes"][0].tolist() == [[20, 3, 30, 14]]


def test_vid_is_tested_on_every_frame(vid: Path) -> None:
    """By clips that begin with key frames; what is beyond the snippet's end does not count."""
    test = task_of(moving(classes=31)).files(str(vid), "val")
    assert [test.name(i) for i in range(len(test))] == ["val/v/000000", "val/v/000002"]
    samples = [test.read(i, ClipRequest(0)) for i in range(2)]
    assert [one.targets["labelled"].tolist() for one in samples] == [[1, 1], [1, 0]]
    assert samples[0].targets["at"][0].tolist() == [0, 1]
    assert samples[1].frames["clip"][0, :, 0, 0].tolist() == [40, 40]


def test_vid_trains_and_is_evaluated_and_predicts(vid: Path, tmp_path: Path) -> None:
    made = short(steps=2, views={"short_side": "fit"}, augment={"crop": {"middle": {"short_side": "fit"}}, "flip": 0})
    made = made.but(task={"detection": {"mirrored": True}})
    run = archdsl.train(moving(classes=31), made, str(vid), out=tmp_path / "run", device="cpu", quiet=True)
    tested = archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True, out=tmp_path / "tested")
    assert tested.figures == pytest.approx(run.figures)
    lines = [json.loads(line) for line in (tmp_path / "tested/videos.jsonl").read_text().splitlines()]
    assert [one["name"] for one in lines] == ["val/v/000000#0", "val/v/000000#1", "val/v/000002#0"]
    assert lines[1]["true"] == [{"class": "car", "box": [1, 2, 11, 14]}]
    assert all(0 <= box["box"][0] < box["box"][2] <= 33 for one in lines for box in one["found"])
    pictures = vid / "ILSVRC2015/Data/VID/val/v"
    given = [str(tmp_path / "run"), str(pictures), "--pictures", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["predict", *given, "-o", str(tmp_path / "said.json")]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())
    assert len(said["frames"]) == len(list((tmp_path / "out").iterdir())) == 4
    assert (said["width"], said["height"]) == (32, 24)
    assert {"class", "score", "box"} == set(said["frames"][0]["boxes"][0])


def test_broken_xml_is_named_by_file_and_line(vid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None ends the run: each is a picture that cannot be read."""
    root = vid / "ILSVRC2015"
    broken = {
        "empty": ("", "empty.xml is empty"),
        "torn": ("<annotation><object>", "torn.xml: not XML"),
        "outside": (
            thing(CAR, 0, 2, 90, 13),
            "outside.xml:2: a box (0, 2, 91, 14) outside the picture of 32 x 24 pixels",
        ),
        "none": (thing(CAR, 9, 2, 4, 13), "none.xml:2: a box (9, 2, 5, 14) without area"),
        "nan": (thing(CAR, "nan", 2, 4, 13), "nan.xml:2: xmin is no number: nan"),
        "class": (thing("n00000001", 0, 2, 4, 13), "class.xml:2: n00000001 is no class of VID"),
        "bare": (
            "<annotation>\n<object><name>x</name></object></annotation>",
            "bare.xml:2: an object without xmin, ymin",
        ),
        "bomb": (
            '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
            "bomb.xml: not XML: it declares entities",
        ),
    }
    rows = []
    for name, (text, _) in broken.items():
        jpeg(root / f"Data/VID/train/{name}.JPEG")
        (root / f"Annotations/VID/train/{name}.xml").write_text(text)
        rows.append(f"train/{name} 1\n")
    jpeg(root / "Data/VID/train/alone.JPEG")
    (root / "ImageSets/VID_train_15frames.txt").write_text("".join([*rows, "train/alone 1\n", "train/lost 1\n"]))
    (tmp_path / "net.yaml").write_text(to_yaml(tiny(1, classes=31)))
    assert main(["data", "check", str(vid), "--net", str(tmp_path / "net.yaml"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {one["name"]: one["reason"] for one in report["unreadable"]}
    assert (report["videos"], len(found)) == (11, 10)
    for name, (_, reason) in broken.items():
        assert found[f"train/{name}"].startswith(reason), found[f"train/{name}"]
    assert "alone.xml" in found["train/alone"]
    assert "lost.JPEG" in found["train/lost"]


def thing(name: str, *box: Any) -> str:
    x1, y1, x2, y2 = box
    sides = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    return f"<annotation>\n<object><name>{name}</name><bndbox>{sides}</bndbox></object>\n</annotation>"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("train/s 1 5 5", "a frame beyond its snippet"),
        ("train/s 1 4", "cannot parse line"),
        ("train/s one 4 5", "cannot parse line"),
        ("../s 1 4 5", "cannot parse line"),
        ("train/s 2 4 5", "a frame twice"),
    ],
)
def test_broken_lines_of_lists_are_named(line: str, what: str, vid: Path) -> None:
    path = vid / "ILSVRC2015/ImageSets/VID_train_15frames.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(SpecError) as caught:
        task_of(tiny(classes=31)).files(str(vid), "train")
    assert (caught.value.faults[0].what, caught.value.faults[0].written) == (what, "VID_train_15frames.txt:2")


def test_there_are_thirty_classes_of_vid() -> None:
    assert len(VID_CLASSES) == 30
    assert [*VID_CLASSES.values()] == sorted(VID_CLASSES.values())
    assert VID_CLASSES["n02121808"] == "domestic_cat"


def test_voc_counts_pixels_from_one_and_knows_what_is_difficult(tmp_path: Path) -> None:
    year = tmp_path / "VOCdevkit/VOC2007"
    (year / "ImageSets/Main").mkdir(parents=True)
    (year / "ImageSets/Main/trainval.txt").write_text("000005\n")
    (year / "ImageSets/Main/test.txt").write_text("000007\n000007\n")
    jpeg(year / "JPEGImages/000005.jpg")
    xml(year / "Annotations/000005.xml", ("dog", (1, 1, 32, 24)))
    text = (year / "Annotations/000005.xml").read_text()
    hard = text.replace("</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>")
    hard = hard.replace("<name>dog", "<difficult>1</difficult><name>dog")
    (year / "Annotations/000005.xml").write_text(hard)
    task = task_of(tiny(1, classes=21))
    found = task.files(str(tmp_path), "train")
    targets = found.read(0, ClipRequest(0)).targets
    assert targets["boxes"][0].tolist() == [[0, 0, 32, 24]]
    assert (targets["labels"][0].tolist(), targets["ignored"][0].tolist()) == ([12], [True])
    with pytest.raises(SpecError, match="a picture twice"):
        task.files(str(tmp_path), "val")


def coco(folder: Path, **changes: Any) -> Path:
    data: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 3, 10, 11], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 30, 20], "iscrowd": 1},
        ],
    }
    data["annotations"] += changes.pop("more", [])
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations/instances_train2017.json").write_text(json.dumps(data | changes))
    for name in ("a", "b"):
        jpeg(folder / f"train2017/{name}.png")
    return folder


def test_coco_by_its_numbers_or_without_gaps(tmp_path: Path) -> None:
    coco(tmp_path)
    gaps, close = (task_of(tiny(1, classes=n)).files(str(tmp_path), "train") for n in (4, 3))
    assert (gaps.classes, close.classes) == (("background", "person", "id 2", "car"), ("background", "person", "car"))
    assert (gaps.metric, gaps.name(0)) == ("coco", "a.png")
    targets = [one.read(0, ClipRequest(0)).targets for one in (gaps, close)]
    assert [one["labels"][0].tolist() for one in targets] == [[3, 1], [2, 1]]
    assert targets[0]["boxes"][0].tolist() == [[2, 3, 12, 14], [0, 0, 30, 20]]
    assert targets[0]["ignored"][0].tolist() == [False, True]
    assert len(gaps.read(1, ClipRequest(0)).targets["boxes"][0]) == 0


@pytest.mark.parametrize(
    ("one", "what"),
    [
        ({"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 5]}, "an id twice"),
        ({"id": 3, "image_id": 8, "category_id": 3, "bbox": [0, 0, 5, 5]}, "an annotation of no image"),
        ({"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5]}, "an annotation of no category"),
        ({"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 0]}, "a box without area"),
        ({"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 5]}, "bbox is not four numbers"),
        ({"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 5, float("nan")]}, "bbox is not four numbers"),
        ({"id": "3", "image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 5]}, "id is no whole number"),
    ],
)
def test_broken_annotations_of_coco_are_named(one: Any, what: str, tmp_path: Path) -> None:
    coco(tmp_path, more=[one])
    with pytest.raises(SpecError) as caught:
        task_of(tiny(1, classes=4)).files(str(tmp_path), "train")
    (fault,) = caught.value.faults
    assert (fault.what, fault.written) == (what, "instances_train2017.json, annotations[2]")


def test_a_box_outside_of_a_picture_of_coco_is_told_when_it_is_read(tmp_path: Path) -> None:
    coco(tmp_path, more=[{"id": 3, "image_id": 9, "category_id": 3, "bbox": [20, 0, 50, 5]}])
    with pytest.raises(Unreadable, match="outside the picture of 32 x 24 pixels"):
        task_of(tiny(1, classes=4)).files(str(tmp_path), "train").read(1, ClipRequest(0))


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no folder of pictures with boxes"):
        task_of(tiny()).files(str(tmp_path), "train")


def test_files_of_scenes_say_what_the_scenes_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures, boxes and classes; every frame is one to train on."""
    (tmp_path / "net.yaml").write_text(to_yaml(tiny(2, classes=31)))
    net, out = str(tmp_path / "net.yaml"), str(tmp_path / "vid")
    assert main(["data", "make", "motion", out, "--net", net, "--count", "5"]) == 0
    for split, videos in (("train", 10), ("val", 1)):
        capsys.readouterr()
        assert main(["data", "check", out, "--net", net, "--json", "--split", split]) == 0
        assert json.loads(capsys.readouterr().out)["videos"] == videos
    task = task_of(tiny(2, classes=31))
    scene, files = (
        task.videos("motion:1", "val").read(0, ClipRequest(0)),
        task.videos(out, "val").read(0, ClipRequest(0)),
    )
    assert (scene.frames["clip"].float() - files.frames["clip"].float()).abs().max() < 60
    for name in ("boxes", "labels", "at", "ignored"):
        assert torch.equal(scene.targets[name][0], files.targets[name][0])


def test_persons_that_are_found_are_what_networks_with_boxes_read(tmp_path: Path) -> None:
    """In shares of the file's frames, which the clip shows by half, with bars; once a second."""
    film(tmp_path / "a.mp4", numbered_frames(60, 48, 64))
    task = task_of(tiny(1, size=32), least_score=0.5)
    task.recipe = task.recipe.but(views=task.recipe.views.but(short_side="fit"))
    boxes = torch.tensor([[4.0, 6, 20, 24], [0, 0, 32, 32]])
    found = FoundBoxes(boxes, torch.tensor([1, 2]), torch.tensor([0.9, 0.8]))
    views = [ViewOutput(torch.zeros(3, 1, 32, 32), second, second, [found]) for second in (0.1, 0.9, 1.6)]
    said = task.prediction(tmp_path / "a.mp4", views, ("background", "person", "dog"), 5)
    assert said.record()["frames"][0]["boxes"][0]["box"] == [8, 12, 40, 48]
    assert said.record()["frames"][0]["boxes"][1]["box"] == [0, 0, 64, 48]
    written = dict(said.pictures())
    (tmp_path / "a.boxes.csv").write_bytes(written["boxes.csv"])
    assert written["boxes.csv"].decode().splitlines()[1] == "a,0001,0.1250,0.2500,0.6250,1.0000,,0.9000"
    reader = for_boxes()
    read = file_with_boxes(tmp_path / "a.mp4", reader.reading)
    assert [one.centre for one in read.entries] == [0, 1, 2]
    sample = read.read(1, ClipRequest(0))
    assert sample.frames["boxes"][:, 0, 0, 0].tolist() == [8, 12, 40, 48]


def for_boxes() -> ActionDetection:
    """The task of a network with given boxes."""
    made = task_for(archdsl.compile(test_action_detection.tiny()), recipe("smoke").but(task="action_detection"))
    assert isinstance(made, ActionDetection)
    return made


# runs


def trained(out: Path, **changes: Any) -> Run:
    made = short(augment={"flip": 0.5, "crop": {"jitter": {"short_side": [36, 48]}}}, **changes)
    return archdsl.train(moving(), made.but(task="detection"), "motion:16", out=out, device="cpu", quiet=True)


def weights_of(run: Run) -> list[Tensor]:
    return [weights.detach() for weights in run.network.parameters()]


def test_a_run_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", steps=4, save_every=2, keep=9)
    first = checkpoints_in(tmp_path / "whole")[0]
    given = dict(out=tmp_path / "whole", device="cpu", quiet=True, resume=first)
    again = archdsl.train(moving(), whole.recipe, "motion:16", **given)
    assert all(map(torch.equal, weights_of(whole), weights_of(again)))


def as_one(out: Path, rank: int) -> dict[int, float]:
    run = trained(out / "two", steps=3, norms__freeze="all")
    return losses(out / "two") | {9: run.figures["map"]}


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    run = trained(tmp_path / "one", steps=3, norms__freeze="all")
    first, second = told_by_two(as_one, tmp_path)
    assert first == second
    alone = losses(tmp_path / "one") | {9: run.figures["map"]}
    assert {int(step): loss for step, loss in first.items()} == pytest.approx(alone, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rfcn_r101", "dff_r101_rfcn"])
def test_the_zoo_trains_by_one_command(name: str, tmp_path: Path) -> None:
    """At 31 classes, of which built-in data uses eleven."""
    size = ["--param", "height=128", "--param", "width=192"]
    options = ["--recipe", "smoke", "--steps", "2", "--batch", "1", "--data", "motion:2", *size]
    options += ["--set", "recipe.optimizer.rate=0.001"]
    assert main(["train", name, *options, "--out", str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    assert 0 < losses(tmp_path)[2] < 50


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fasterrcnn_r50_fpn", "retinanet_r50_fpn", "ssd300_vgg16"])
def test_detectors_of_images_train_by_one_command(name: str, tmp_path: Path) -> None:
    """Built-in data fits the classes that they have; those of other heads are what a recipe is named for."""
    size = [] if name.startswith("ssd") else ["--param", "height=128", "--param", "width=128"]
    options = ["--recipe", "smoke", "--steps", "2", "--batch", "2", "--data", "motion:2", *size]
    options += ["--set", "recipe.optimizer.rate=0.0001"]
    assert main(["train", name, *options, "--out", str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    assert 0 < losses(tmp_path)[2] < 1000


def test_recipes_of_image_detectors() -> None:
    names = ["fasterrcnn_r50_fpn", "retinanet_r50_fpn", "ssd300_vgg16"]
    found = [default_recipe(archdsl.load(name), "coco") for name in names]
    assert [one.name for one in found] == ["fasterrcnn_coco", "retinanet_coco", "ssd_coco"]
    assert [one.rate_at(100_000 // one.batch, 100_000) for one in found] == [0.02, 0.01, 0.002]
    others = {
        "yolo_v1": "yolo_v1_voc",
        "yolo_v2_voc": "yolo_voc",
        "yolo_v3": "yolo_coco",
        "detr_r50": "detr_coco",
        "fast_rcnn_caffenet_voc": "faster_rcnn_voc",
        "rfcn_r101": "resnet_v1_101_imagenet_vid_rfcn_end2end_ohem",
    }
    assert {name: default_recipe(archdsl.load(name), "coco").name for name in others} == others


def test_an_option_of_another_kind_of_head_is_refused() -> None:
    """The networks' own heads say which boxes are given."""
    made = recipe("smoke").but(task={"detection": {"overlap": 0.4}})
    task = task_for(archdsl.compile(archdsl.load("retinanet_r50_fpn", height=128, width=128)), made)
    with pytest.raises(SpecError) as caught:
        task.videos("motion:1", "train")
    assert caught.value.faults[0].at == "recipe.task.detection.overlap"


# other kinds of detectors


def cutting(boxes: str | None = None) -> Arch:
    """Faster R-CNN on the same map, or Fast R-CNN with given boxes."""
    arch = tiny(1)
    region = (FlattenSpace(), Linear(channels=16))
    head = Detector(
        classes=11,
        size=2,
        scales=(2.0,),
        ratios=(1.0, 1.5),
        deviations=(1, 1, 1, 1),
        candidates=40,
        count=12,
        proposing=(Conv(channels=8),),
        region=region,
    )
    if boxes is None:
        return arch.but(name="tiny_faster", head=head)
    clips = {"clip": arch.clips["clip"], boxes: Clip(modality="boxes", frames=20, size=1)}
    pathways = {"features": arch.pathways["features"].but(clip="clip")}
    return arch.but(
        name="tiny_fast", clips=clips, pathways=pathways, head=Detector(classes=11, size=2, region=region, boxes=boxes)
    )


def queries(count: int = 5) -> Arch:
    """DETR on the same map."""
    head = SetDetector(classes=12, queries=count, width=16, heads=2, hidden=16, encoder=1, decoder=1)
    return tiny(1).but(name="tiny_detr", head=head)


def celled(act: Any = "sigmoid") -> Arch:
    """YOLO on the same map."""
    head = AnchorDetector(
        classes=10,
        sides=(((8, 8), (6, 12)),),
        offset=0.5,
        kernel=1,
        objectness=True,
        act=act,
        background=False,
        within="cell",
    )
    return tiny(1).but(name="tiny_yolo", head=head)


def gridded() -> Arch:
    """The first YOLO on the same map."""
    stages = {**tiny(1).pathways["features"].stages, "flat": Stage(FlattenSpace(), Linear(channels=16))}
    head = GridDetector(classes=10, side=3, boxes=2)
    return tiny(1).but(name="tiny_grid", pathways={"features": Pathway(stages=stages)}, head=head)


KINDS = [
    queries(),
    *(pytest.param(one, marks=pytest.mark.slow) for one in (cutting(), cutting("given"), celled(), gridded())),
]


@pytest.mark.parametrize("arch", KINDS, ids=lambda arch: f"{arch.name}")
def test_every_kind_of_detector_learns_and_finds(arch: Arch, tmp_path: Path) -> None:
    """The loss falls on eight scenes that it sees again and again; what is found is judged."""
    made = recipe("smoke").but(steps=12, batch=8, log_every=1, schedule=Schedule(kind="constant"))
    made = made.but(optimizer=Optimizer(kind="adam", rate=0.003))
    run = archdsl.train(arch, made, "motion:8", out=tmp_path, device="cpu", quiet=True)
    found = [*losses(tmp_path).values()]
    assert sum(found[-3:]) < 0.95 * sum(found[:3])
    assert set(run.figures) == {"map"}


def test_what_is_cut_out_is_told_where_it_belongs() -> None:
    """A region whose shifts of class 3 are those to its thing gives the thing; the loss is then that of classes."""
    task = task_of(cutting())
    kind: Any = task.kind
    thing, region = torch.tensor([[4.0, 6, 20, 18]]), torch.tensor([[5.0, 5, 18, 18]])
    shifts = torch.zeros(44, 1, 1)
    units = torch.tensor(task.options.deviations)
    shifts[12:16, 0, 0] = (shifts_between(region, thing - torch.tensor([0.0, 0, 1, 1])) / units)[0]
    chances = torch.full((11, 1, 1), 0.01)
    chances[3] = 0.9
    said = {"proposals": torch.cat([torch.ones(1, 1, 1), region.T[..., None]]), "scores": chances, "shifts": shifts}
    found = kind.found(said)
    assert (found.labels[0], float(found.scores[0])) == (3, pytest.approx(0.9))
    torch.testing.assert_close(found.boxes[0], thing[0])
    truth = FrameTruth(thing, torch.tensor([3]), torch.tensor(0))
    assert float(kind.told_apart(said, truth)) == pytest.approx(-log(0.9), rel=1e-4)
    assert float(kind.told_apart(said, truth._replace(labels=torch.tensor([2])))) > -log(0.02)
    nothing = FrameTruth(thing[:0], torch.tensor([], dtype=torch.long), torch.tensor(0))
    assert float(kind.told_apart(said, nothing)) == pytest.approx(-log(0.01), rel=1e-4)


def test_classes_beside_those_of_the_data() -> None:
    """DETR has one more, for no object; YOLO none for the background: the fix says how many."""
    for arch, want in ((queries(), "--classes 5"), (celled(), "--classes 3"), (tiny(1), "--classes 4")):
        task = task_of(arch)
        task.check_classes(("none", *"abcdefghij"))
        with pytest.raises(SpecError) as caught:
            task.check_classes(("none", "a", "b", "c"))
        assert caught.value.faults[0].fix == want


@pytest.mark.slow
def test_persons_of_a_faster_rcnn_feed_an_action_network(tmp_path: Path) -> None:
    """`predict` of the one writes the boxes that `predict` of the other reads, each second of a file."""
    for split in ("train", "val"):
        coco(tmp_path / "coco")
        for name in ("annotations/instances_{}.json", "{}/a.png", "{}/b.png"):
            old, new = (tmp_path / "coco" / name.format(one) for one in ("train2017", f"{split}2017"))
            new.parent.mkdir(exist_ok=True)
            new.write_bytes(old.read_bytes())
    finder = cutting()
    finder = finder.but(head=finder.head.but(classes=4))
    made = short(steps=2, views={"short_side": "fit"}, augment={"crop": {"middle": {"short_side": "fit"}}})
    given = dict(device="cpu", quiet=True)
    archdsl.train(finder, made, str(tmp_path / "coco"), out=tmp_path / "finder", **given)
    actions = short(steps=2).but(task={"action_detection": {"least_score": 0.001}})
    archdsl.train(test_action_detection.tiny(boxes=3), actions, "motion:4", out=tmp_path / "actor", **given)
    film(tmp_path / "a.mp4", numbered_frames(60, 48, 48))
    common = [str(tmp_path / "a.mp4"), "--device", "cpu", "-o", str(tmp_path / "said.json")]
    assert main(["predict", str(tmp_path / "finder"), *common, "--pictures", str(tmp_path / "out")]) == 0
    rows = [row.split(",") for row in (tmp_path / "out/a.boxes.csv").read_text().splitlines()]
    (tmp_path / "a.boxes.csv").write_bytes((tmp_path / "out/a.boxes.csv").read_bytes())
    assert main(["predict", str(tmp_path / "actor"), *common]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())
    wanted = {tuple(round(32 * float(x), 2) for x in row[2:6]) for row in rows if float(row[7]) >= 0.001}
    found = {tuple(round(x, 2) for x in box["box"]) for key in said["key_frames"] for box in key["boxes"]}
    assert found <= wanted
    assert all(1 <= len(key["boxes"]) <= 3 and key["boxes"][0]["best"] for key in said["key_frames"])
