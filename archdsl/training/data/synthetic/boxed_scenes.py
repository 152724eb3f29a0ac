"""Built-in scenes with a box around each digit in every frame."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.boxed_frames import Metric, TrueBox, detection_targets
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth

WITH_ANY = 2
"""Classes of networks that tell things from the background alone."""
NEAR_DIGITS = 8
"""Proposals around each digit."""


@dataclass(frozen=True)
class BoxedScenes(Scenes):
    """Scenes whose classes are the background and the digits, or the background and any digit where there are two."""

    metric: Metric = "voc"

    def shown(self, truth: Truth, clip: Clip) -> Tensor:
        """Of a clip of boxes proposals: each digit's in turn, moved, then boxes anywhere."""
        return proposals_of(truth, clip) if clip.modality == "boxes" else super().shown(truth, clip)

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        sample = self.sample(index, truth)
        clip = next(iter(self.clips.values()))
        times = self.times(truth, clip).tolist()
        labels = [1] * len(truth.digits) if len(self.classes) == WITH_ANY else (truth.classes + 1).tolist()
        boxes = {
            at: [
                TrueBox((x1, y1, x2, y2), label) for (x1, y1, x2, y2), label in zip(truth.boxes[time].tolist(), labels)
            ]
            for at, time in enumerate(times)
        }
        return sample._replace(targets=detection_targets(boxes, clip.frames, request.seed))


def proposals_of(truth: Truth, clip: Clip) -> Tensor:
    """Boxes for a network to tell apart: around digits of the first frame, then anywhere.  (4, boxes, 1, 1)"""
    rng = torch.Generator().manual_seed(Random(f"{truth.seed} proposals").getrandbits(62))
    near = truth.boxes[0].repeat(NEAR_DIGITS, 1)
    near = near + truth.dot * torch.randn(near.shape, generator=rng)
    whole = torch.tensor([truth.width, truth.height] * 2)
    places = torch.rand(clip.frames, 2, 2, generator=rng).sort(1).values.flatten(1) * whole
    found = torch.cat([near, places])[: clip.frames]
    found = torch.minimum(found.round().clamp(min=0), whole - 1)
    return torch.cat([found[:, :2], torch.maximum(found[:, :2], found[:, 2:])], 1).T[:, :, None, None]
