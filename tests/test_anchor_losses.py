"""Losses of Faster R-CNN, RetinaNet and SSD: equal to torchvision's, where it is installed, and by hand."""

from __future__ import annotations

from math import log
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from archdsl.training.tasks.boxes.anchor_losses import (
    coded,
    focal_loss,
    halves,
    matched_boxes,
    multibox_loss,
    objectness_loss,
    region_classes_loss,
)
from archdsl.training.tasks.boxes.region_losses import random_keys

ONES, TENTHS = torch.ones(4), torch.tensor([0.1, 0.1, 0.2, 0.2])


def boxes_and_anchors(seed: int, things: int, many: int = 240) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
    """(true boxes, labels, anchors, a twentieth of them near true ones, rng)"""
    rng = torch.Generator().manual_seed(seed)
    true, found = ((torch.rand(n, 2, 2, generator=rng) * 90).sort(1).values.flatten(1) for n in (things, many))
    true[:, 2:] += 10
    found[:, 2:] += 5
    if things:
        near = true[torch.arange(many) % things] + 4 * torch.randn(many, 4, generator=rng)
        found = torch.where(
            (torch.rand(many, 1, generator=rng) < 0.05) & (near[:, 2:] > near[:, :2]).all(1, True), near, found
        )
    return true, torch.randint(1, 6, (things,), generator=rng), found, rng


def test_matches_by_hand() -> None:
    """A box near two takes the nearer one; the best of each true one may stand for it though it is far."""
    true = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60], [90, 90, 91, 91]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 16], [50, 50, 60, 80], [200, 200, 210, 210]])
    assert matched_boxes(boxes, true, 0.7, 0.3).tolist() == [0, -2, -2, -1]
    assert matched_boxes(boxes, true, 0.7, 0.3, best="kept").tolist() == [0, -2, 1, -1]
    assert matched_boxes(boxes, true[:2], 0.7, 0.3, best="given").tolist() == [0, -2, 1, -1]
    assert matched_boxes(boxes, true[:0], 0.7, 0.3, best="given").tolist() == [-1] * 4


def test_halves_are_drawn() -> None:
    found = torch.tensor([0] * 300 + [-1] * 300 + [-2] * 300)
    things, others = halves(found, random_keys(torch.tensor(5), 900), 256, 128)
    assert (int(things.sum()), int(others.sum())) == (128, 128)
    assert not things[300:].any()
    assert not others[600:].any()
    things, others = halves(found[290:], random_keys(torch.tensor(5), 610), 256, 128)
    assert (int(things.sum()), int(others.sum())) == (10, 246)


def test_the_hardest_of_ssd_by_hand() -> None:
    """One thing and three others: with one to three, all; of two things' worth only as many as there are."""
    true, labels = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1])
    anchors = torch.tensor([[0.0, 0, 10, 10], *[[20.0 + 20 * i, 0, 30 + 20 * i, 10] for i in range(5)]])
    scores = torch.tensor([[0.0, 0], [0, 1], [0, 2], [0, -9], [0, 3], [0, -8]])
    told = [log(1 + 2.718281828459045**x) for x in (1, 2, 3)]
    loss = multibox_loss(scores, torch.zeros(6, 4), anchors, true, labels, TENTHS)
    assert float(loss) == pytest.approx(log(2) + sum(told), rel=1e-5)
    assert float(multibox_loss(scores, torch.zeros(6, 4), anchors, true[:0], labels[:0], TENTHS)) == 0


@pytest.mark.parametrize("things", [1, 4])
def test_torchvisions_matches_and_codes(torchvision: Any, things: int) -> None:
    true, _, anchors, _ = boxes_and_anchors(things, things)
    utils = torchvision.models.detection._utils
    shares = torchvision.ops.box_iou(true, anchors)
    for near, far, best, kind in (
        (0.7, 0.3, "kept", utils.Matcher(0.7, 0.3, allow_low_quality_matches=True)),
        (0.5, 0.4, "kept", utils.Matcher(0.5, 0.4, allow_low_quality_matches=True)),
        (0.5, 0.5, "none", utils.Matcher(0.5, 0.5, allow_low_quality_matches=False)),
        (0.5, 0.5, "given", utils.SSDMatcher(0.5)),
    ):
        assert matched_boxes(anchors, true, near, far, best=best).tolist() == kind(shares).tolist()
    coder = utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
    goals = true[torch.arange(len(anchors)) % things]
    torch.testing.assert_close(coded(anchors, goals, TENTHS), coder.encode_single(goals, anchors), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("things", [0, 1, 4])
def test_torchvisions_losses(torchvision: Any, things: int) -> None:
    """Of one picture, with so few anchors that all of them are drawn."""
    true, labels, anchors, rng = boxes_and_anchors(10 + things, things)
    detection, n = torchvision.models.detection, len(anchors)
    utils = detection._utils
    scores, shifts = torch.randn(n, 6, generator=rng), torch.randn(n, 4, generator=rng)
    target = [{"boxes": true, "labels": labels}]
    shares = torchvision.ops.box_iou(true, anchors)

    def matches(matcher: Any) -> Tensor:
        return matcher(shares) if things else torch.full((n,), -1)

    index = matches(utils.Matcher(0.5, 0.4, allow_low_quality_matches=True))
    head = SimpleNamespace(BETWEEN_THRESHOLDS=-2, box_coder=utils.BoxCoder((1.0, 1.0, 1.0, 1.0)), _loss_type="l1")
    said = {"cls_logits": scores[None], "bbox_regression": shifts[None]}
    classes = detection.retinanet.RetinaNetClassificationHead.compute_loss(head, target, said, [index])
    moved = detection.retinanet.RetinaNetRegressionHead.compute_loss(head, target, said, [anchors], [index])
    torch.testing.assert_close(focal_loss(scores, shifts, anchors, true, labels, ONES), classes + moved)

    index = matches(utils.SSDMatcher(0.5))
    net = SimpleNamespace(box_coder=utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), neg_to_pos_ratio=3)
    found = detection.ssd.SSD.compute_loss(net, target, said, [anchors], [index])
    mine = multibox_loss(scores, shifts, anchors, true, labels, TENTHS)
    torch.testing.assert_close(mine, sum(found.values()), atol=1e-4, rtol=1e-4)

    index = matches(utils.Matcher(0.7, 0.3, allow_low_quality_matches=True))
    thing = (index >= 0).float()
    thing[index == -2] = -1
    goals = coded(anchors, true[index.clamp(min=0)], ONES) if things else torch.zeros(n, 4)
    drawn = SimpleNamespace(fg_bg_sampler=lambda labels: ([labels[0] == 1], [labels[0] == 0]))
    rpn = detection.rpn.RegionProposalNetwork.compute_loss
    keys = random_keys(torch.tensor(0), n)
    mine = objectness_loss(scores[:, 0], shifts, anchors, true, keys)
    torch.testing.assert_close(mine, sum(rpn(drawn, scores[:, 0], shifts, [thing], [goals])), atol=1e-4, rtol=1e-4)

    index = matches(utils.Matcher(0.5, 0.5, allow_low_quality_matches=False))
    told = labels[index.clamp(min=0)].where(index >= 0, 0) if things else torch.zeros(n, dtype=torch.long)
    goals = coded(anchors, true[index.clamp(min=0)], TENTHS) if things else torch.zeros(n, 4)
    by_class = torch.randn(n, 24, generator=rng)
    found = detection.roi_heads.fastrcnn_loss(scores, by_class, [told], [goals])
    mine = region_classes_loss(scores, by_class.unflatten(1, (-1, 4)), anchors, true, labels, TENTHS, keys)
    torch.testing.assert_close(mine, sum(found), atol=1e-4, rtol=1e-4)
