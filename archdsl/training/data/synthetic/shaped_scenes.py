"""Built-in scenes with a mask, or key points, of each digit beside its box."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archdsl.training.data.annotations.boxes.shaped_frames import points_of_things
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.boxed_scenes import BoxedScenes
from archdsl.training.data.synthetic.point_scenes import ring_points


@dataclass(frozen=True)
class ShapedScenes(BoxedScenes):
    """Scenes of boxes; a mask is what shows of a digit, points lie on an ellipse in its box."""

    points: int = 0
    """Of each digit; 0: masks instead."""

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample, truth = super().read(index, request), self.truth(index)
        times = self.times(truth, next(iter(self.clips.values())))
        if self.points:
            mirror = [-i % self.points for i in range(self.points)]
            known = ring_points(truth, self.points)[times].flatten(0, 1)
            return sample._replace(targets=sample.targets | points_of_things(known.unbind(0), mirror))
        numbers = torch.arange(1, len(truth.digits) + 1).view(1, -1, 1, 1)
        masks = (truth.owners[times][:, None] == numbers).flatten(0, 1).to(torch.uint8)
        return sample._replace(targets=sample.targets | {"true_masks": [masks]})
