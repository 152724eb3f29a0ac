"""Anchors along time, then what proposals show (TAL-Net, arXiv:1804.07667): Faster R-CNN's losses on a line.

No code was released: the figures below are those of Faster R-CNN and of the paper where it gives them. Where the
originals draw anchors and proposals at random, all count, by what a draw gives on average.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from archdsl.compiler import Plan
from archdsl.language.heads.segments import SegmentDetector
from archdsl.training.data.clips import Batch
from archdsl.training.evaluation.segment_metrics import Detections, segment_overlaps
from archdsl.training.tasks.localisation.reader import Reader
from archdsl.training.tasks.localisation.suppression import without_overlaps

ANCHORS, GOOD_ANCHORS = 256, 128
"""How many anchors count in all, and good ones at most."""
PROPOSALS, GOOD_PROPOSALS = 64, 16
GOOD, BAD = 0.7, 0.3
"""Overlaps above and below which an anchor is good and bad."""
RIGHT = 0.5
"""Overlap above which a proposal shows an action."""
LONGEST_GROWTH = 4.0
LEAST_SCORE = 0.005
MOST_OF_CLIP = 300
MOST_OF_VIDEO = 200
DOUBLE = 0.4
"""Overlap above which a detection of the same class is a double."""


class AnchorReader(Reader):
    """`anchors` (n, 4 k, t), `proposals` (n, 2, top), `scores` (n, classes + 1, top), `ends` (n, 2 classes, top)."""

    classwise = True

    @classmethod
    def reads(cls, plan: Plan) -> bool:
        return isinstance(plan.arch.head, SegmentDetector)

    @property
    def positions(self) -> int:
        """Of a clip."""
        return self.plan.outputs["anchors"][1]

    def places(self, device: torch.device) -> Tensor:
        """Where each anchor lies, in elements.  (k, t, 2)"""
        head = self.plan.arch.head
        assert isinstance(head, SegmentDetector)
        middle = torch.arange(self.positions, device=device) + 0.5
        half = torch.tensor(head.scales, device=device)[:, None] / 2
        return torch.stack([middle - half, middle + half], dim=2)

    def amounts(self, batch: Batch) -> Tensor:
        """Each clip has as many anchors as any other."""
        return batch.weights.new_ones(len(batch.weights))

    def loss(self, outputs: dict[str, Tensor], batch: Batch, totals: Tensor) -> Tensor:
        places = self.places(batch.weights.device).flatten(0, 1)
        losses = []
        for i, ((segments,), (labels,)) in enumerate(zip(batch.targets["segments"], batch.targets["labels"])):
            mine = {name: x[i].float() for name, x in outputs.items()}
            actions = segments * self.positions
            losses.append(anchor_loss(mine["anchors"], places, actions) + segment_loss(mine, actions, labels))
        return torch.stack(losses) / totals

    def detections(self, outputs: dict[str, Tensor]) -> list[Detections]:
        """The best of all proposals and classes, with the ends of the class."""
        found = []
        for i in range(len(outputs["scores"])):
            mine = {name: x[i].float().cpu() for name, x in outputs.items()}
            proposals, chances = mine["proposals"].T, mine["scores"].softmax(0)[1:]
            moved = mine["ends"].unflatten(0, (-1, 2)).permute(0, 2, 1)  # (classes, top, 2)
            segments = moved_segments(proposals.expand_as(moved), moved).clamp(0, self.positions) / self.positions
            lasting = (segments[..., 1] > segments[..., 0]) & (proposals[:, 1] > proposals[:, 0])
            scores = torch.where(lasting & (chances > LEAST_SCORE), chances, 0)
            best = scores.flatten().argsort(stable=True, descending=True)[:MOST_OF_CLIP]
            best = best[scores.flatten()[best] > 0]
            labels = best // chances.shape[1]
            found.append(Detections(segments.flatten(0, 1)[best], scores.flatten()[best], labels))
        return found

    def suppressed(self, found: Detections, whole: float) -> Detections:
        return without_overlaps(found, DOUBLE, MOST_OF_VIDEO)


def shares_of(good: Tensor, bad: Tensor, most: int, most_good: int) -> Tensor:
    """How much each counts: good ones as `most_good` at most, bad ones as what is left of `most`."""
    many = good.sum()
    taken = many.clamp(max=most_good)
    rest = ((most - taken) / bad.sum().clamp(min=1)).clamp(max=1)
    return good * (taken / many.clamp(min=1)) + bad * rest


def shifts_to(places: Tensor, goals: Tensor) -> Tensor:
    """How far the middle is off, in lengths, and the logarithm of how much longer a goal is.  (n, 2) -> (n, 2)"""
    length, goal = places[:, 1] - places[:, 0], goals[:, 1] - goals[:, 0]
    shift = (goals.sum(1) - places.sum(1)) / 2 / length
    return torch.stack([shift, (goal / length).log()], dim=1)


def moved_segments(places: Tensor, moved: Tensor) -> Tensor:
    """Segments after a shift and a growth.  (..., 2), (..., 2) -> (..., 2)"""
    length = places[..., 1] - places[..., 0]
    middle = places.sum(-1) / 2 + moved[..., 0] * length
    half = length * moved[..., 1].clamp(max=LONGEST_GROWTH).exp() / 2
    return torch.stack([middle - half, middle + half], dim=-1)


def anchor_loss(anchors: Tensor, places: Tensor, actions: Tensor) -> Tensor:
    """Whether each anchor fits an action, and how it is moved onto it.  (4 k, t), (k t, 2), (actions, 2)"""
    said = anchors.unflatten(0, (-1, 4)).permute(0, 2, 1).flatten(0, 1)  # (k t, 4)
    if not len(actions):
        good = torch.zeros(len(places), dtype=torch.bool, device=places.device)
        bad, goals = ~good, places
    else:
        table = segment_overlaps(places, actions)
        best, which = table.max(1)
        most = table.amax(0)
        good = (best > GOOD) | ((table == most) & (most > 0)).any(1)
        bad, goals = (best < BAD) & ~good, actions[which]
    weights = shares_of(good, bad, ANCHORS, GOOD_ANCHORS)
    classes = cross_entropy(said[:, :2], good.long(), reduction="none")
    wanted = torch.where(good[:, None], shifts_to(places, goals), 0)
    moved = smooth_l1_loss(said[:, 2:], wanted, reduction="none").sum(1)
    return (weights * (classes + moved * good)).sum() / weights.sum().clamp(min=1)


def segment_loss(outputs: dict[str, Tensor], actions: Tensor, labels: Tensor) -> Tensor:
    """Which action each proposal shows, and how it is moved onto it."""
    places = outputs["proposals"].detach().T  # (top, 2)
    there = places[:, 1] > places[:, 0]
    if len(actions):
        best, which = segment_overlaps(places, actions).max(1)
        good, goals, classes = (best > RIGHT) & there, actions[which], labels[which]
    else:
        good, goals, classes = torch.zeros_like(there), places, labels.new_zeros(len(places))
    weights = shares_of(good, there & ~good, PROPOSALS, GOOD_PROPOSALS)
    scores = cross_entropy(outputs["scores"].T, torch.where(good, classes + 1, 0), reduction="none")
    rows = torch.arange(len(places), device=places.device)
    said = outputs["ends"].unflatten(0, (-1, 2))[classes, :, rows]  # (top, 2)
    wanted = torch.where(good[:, None], shifts_to(places.where(there[:, None], goals), goals), 0)
    moved = smooth_l1_loss(said, wanted, reduction="none").sum(1)
    return (weights * (scores + moved * good)).sum() / weights.sum().clamp(min=1)
