"""Built-in scenes of which the middle frame has boxes: who moves how in which box."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.data.annotations.boxes.key_frame_boxes import Person, box_targets
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth


def persons_in(truth: Truth) -> list[Person]:
    """The box of each digit in the middle frame, and how it moves."""
    boxes = truth.boxes[truth.frames // 2]
    shares = boxes.double() / boxes.new_tensor([truth.width, truth.height] * 2)
    return [
        Person((x1, y1, x2, y2), (motion,)) for (x1, y1, x2, y2), motion in zip(shares.tolist(), truth.motions.tolist())
    ]


@dataclass(frozen=True)
class KeyFrameScenes(Scenes):
    """Scenes with a box around each digit, and its motion as the class; the first digits where there are too many."""

    @property
    def keyed(self) -> bool:
        return True

    @property
    def tested(self) -> tuple[int, ...]:
        """Classes that figures are of: all."""
        return tuple(range(len(self.classes)))

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        sample = self.sample(index, truth)
        room = next(clip.frames for clip in self.clips.values() if clip.modality == "boxes")
        persons = persons_in(truth)[:room]
        size = (truth.height, truth.width)
        return sample._replace(targets=box_targets(persons, persons, room, len(self.classes), size))
