"""Built-in scenes of which one frame is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch

from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.synthetic.scenes import Scenes


@dataclass(frozen=True)
class LabelledFrames(Scenes):
    """Scenes whose target tells of all frames; one at random is kept, so that every distance from a key frame is met.

    Targets are `labels`, (h, w), and `frame`, the position in the first clip.
    """

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample, truth = super().read(index, request), self.truth(index)
        clip = next(iter(self.clips.values()))
        frame = random_below(clip.frames, Random(f"{self.seed} {index} labelled"))
        labels = self.target(truth)[self.times(truth, clip)[frame]]
        return sample._replace(targets={"labels": labels.to(torch.uint8), "frame": torch.tensor(frame)})
