"""Built-in scenes with a box around each digit in every frame."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.data.annotations.boxed_frames import Metric, TrueBox, detection_targets
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.scenes import Scenes

WITH_ANY = 2
"""Classes of networks that tell things from the background alone."""


@dataclass(frozen=True)
class BoxedScenes(Scenes):
    """Scenes whose classes are the background and the digits, or the background and any digit where there are two."""

    metric: Metric = "voc"

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample, truth = super().read(index, request), self.truth(index)
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
