"""True boxes among the proposals that a detector learns; a test has none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archdsl.backend import build
from archdsl.backend.runtime.regions.true_boxes import among_true_boxes
from archdsl.blocks import FlattenSpace, Linear
from archdsl.language import Arch, RegionDetector
from archdsl.training.data.clips import Batch
from archdsl.training.passes import AsTested
from archdsl.training.tasks.boxes.detection import Detection
from tests.test_detection_task import batch_of, celled, cutting, moving, queries, task_of, tiny


def pyramid() -> Arch:
    """Faster R-CNN of torchvision's kind, on one map."""
    region = (FlattenSpace(), Linear(channels=16))
    head = RegionDetector(classes=11, sides=(((12, 12),),), candidates=20, count=12, given=4, size=2, region=region)
    return tiny(1).but(name="tiny_pyramid", head=head)


PROPOSING = [tiny(), moving(), cutting(), pyramid()]


def taught(arch: Arch) -> tuple[Detection, Batch, Any]:
    """A task, a batch of four scenes, and the network that is trained."""
    task = task_of(arch)
    batch = batch_of(task, "motion:8", augment={"flip": 0, "crop": "middle"}, batch=4)
    torch.manual_seed(0)
    return task, batch, build(task.trained.of_frames_read, "auto", train=True)


def true_boxes_of(task: Detection, batch: Batch, row: int, at: int) -> Tensor:
    """As proposals have them: first and last pixels, but for torchvision's kind."""
    last = 0.0 if isinstance(task.plan.arch.head, RegionDetector) else 1.0
    mine = batch.targets["at"][row][0] == at
    boxes: Tensor = batch.targets["boxes"][row][0][mine]
    return boxes - torch.tensor([0.0, 0.0, last, last])


def test_true_boxes_push_out_the_last_proposals_by_hand() -> None:
    """Of two frames one has two true boxes and two proposals beside a place of zeros, the other has none."""
    proposals = torch.zeros(1, 5, 2, 3, 1)
    proposals[0, :, 0, :2, 0] = torch.tensor([[0.9, 1, 1, 5, 5], [0.8, 2, 2, 6, 6]]).T
    proposals[0, :, 1, :, 0] = torch.tensor([[0.7, 3, 3, 7, 7], [0.6, 4, 4, 8, 8], [0.5, 5, 5, 9, 9]]).T
    true = torch.zeros(1, 4, 2, 3, 1)
    true[0, :, 0, :2, 0] = torch.tensor([[0.0, 0, 9, 9], [8, 8, 11, 12]]).T
    found = among_true_boxes(proposals, true)
    wanted = torch.tensor([[1.0, 0, 0, 9, 9], [1, 8, 8, 11, 12], [0.9, 1, 1, 5, 5]])
    torch.testing.assert_close(found[0, :, 0, :, 0].T, wanted)
    torch.testing.assert_close(found[:, :, 1], proposals[:, :, 1])


@pytest.mark.parametrize("arch", PROPOSING, ids=lambda arch: f"{arch.name}")
def test_proposals_in_training_begin_with_true_boxes(arch: Arch) -> None:
    """Of labelled frames; the others, and a network that is tested, have what the network proposes itself."""
    task, batch, network = taught(arch)
    batch.targets["labelled"][0] = 0
    said = network(task.inputs(batch.clips, batch))
    for row in range(4):
        for at in range(task.frames):
            boxes = true_boxes_of(task, batch, row, at)
            proposed = said["proposals"][row, -4:, at, : len(boxes), 0].T
            assert len(boxes) > 0
            assert torch.allclose(proposed, boxes) == bool(row)
    assert torch.isfinite(task.loss(said, batch, task.amounts(batch).sum())).all()


@pytest.mark.parametrize("arch", PROPOSING, ids=lambda arch: f"{arch.name}")
def test_a_network_in_training_is_tested_without_true_boxes(arch: Arch) -> None:
    """As sharded networks are: with the weights and the outputs of the plan's own network."""
    task, batch, network = taught(arch)
    alone = build(task.plan)
    alone.load_state_dict(network.state_dict())
    found, wanted = AsTested(network.eval(), task)(batch.clips), alone.eval()(batch.clips)
    torch.testing.assert_close(found, wanted)


def test_what_things_are_is_learnt_from_the_first_step() -> None:
    """Proposals that are all the whole frame overlap no digit by half; the true boxes do."""
    task, batch, network = taught(tiny())
    with torch.no_grad():
        network.head.anchor_shifts.bias.view(-1, 4)[:, 2:] = 30
    reached = []
    for clips in (task.inputs(batch.clips, batch), task.inputs(batch.clips)):
        network.zero_grad()
        said = network(clips)
        task.loss(said, batch, task.amounts(batch).sum()).sum().backward()
        reached.append(bool(network.head.shifts_by_place.weight.grad.any()))
    assert reached == [True, False]


def test_boxes_that_are_given_have_true_ones_among_them() -> None:
    """Fast R-CNN; what it is tested on stays as it is."""
    task, batch, network = taught(cutting("given"))
    assert task.trained is task.plan
    clips = task.inputs(batch.clips, batch)
    assert isinstance(clips, dict)
    for row in range(4):
        boxes = true_boxes_of(task, batch, row, 0)
        torch.testing.assert_close(clips["given"][row, :, : len(boxes), 0, 0].T, boxes)
    assert task.inputs(batch.clips) is batch.clips
    assert torch.isfinite(task.loss(network(clips), batch, task.amounts(batch).sum())).all()


@pytest.mark.parametrize("arch", [queries(), celled()], ids=lambda arch: f"{arch.name}")
def test_detectors_without_proposals_are_trained_as_they_are(arch: Arch) -> None:
    task, batch, _ = taught(arch)
    assert task.trained is task.plan
    assert task.inputs(batch.clips, batch) is batch.clips
