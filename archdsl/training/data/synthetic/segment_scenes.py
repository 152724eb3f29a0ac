"""Built-in scenes as sequences: what moves when, exactly."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.data.annotations.time_segments import TimedSegment, TrueSegments, true_segments, window_targets
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.motion import MOTION_FPS
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth


def movements(truth: Truth) -> tuple[TimedSegment, ...]:
    """Every movement, in seconds."""
    return tuple(TimedSegment(first / MOTION_FPS, last / MOTION_FPS, motion) for motion, first, last in truth.actions)


@dataclass(frozen=True)
class SegmentScenes(Scenes):
    """Scenes whose targets are those of `window_targets`: each movement, and which it is."""

    def video(self, index: int) -> str:
        """Each scene is a video."""
        return self.name(index)

    def truth_of_video(self, index: int) -> TrueSegments:
        """Its movements."""
        return true_segments(movements(self.truth(index)))

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        sample = self.sample(index, truth)
        seconds = truth.frames / MOTION_FPS
        return sample._replace(targets=window_targets(movements(truth), 0.0, seconds), end=seconds)
