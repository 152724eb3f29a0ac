"""Built-in scenes of which one frame is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth


@dataclass(frozen=True)
class LabelledFrames(Scenes):
    """Scenes whose target tells of all frames; one at random is kept, so that every distance from a key frame is met.

    Targets are `labels`, (h, w), and `frame`, the position in the first clip.
    """

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        frame, time = self.labelled(index, truth)
        targets = {"labels": self.labels_at(truth, time), "frame": torch.tensor(frame)}
        return self.sample(index, truth)._replace(targets=targets)

    def labelled(self, index: int, truth: Truth) -> tuple[int, int]:
        """(the frame of the first clip that is labelled, the frame of the scene that it shows)."""
        clip = next(iter(self.clips.values()))
        frame = random_below(clip.frames, Random(f"{self.seed} {index} labelled"))
        return frame, int(self.times(truth, clip)[frame])

    def labels_at(self, truth: Truth, time: int) -> Tensor:
        """The class of each pixel at a time of the scene.  (h, w) uint8"""
        return torch.as_tensor(self.target(truth)[time], dtype=torch.uint8)
