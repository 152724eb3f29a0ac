"""Candidates of videos for BSN's second network, from what its first one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from archdsl.training.data.annotations.feature_sequences import Localised
from archdsl.training.data.annotations.time_segments import TrueSegments
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.segment_scenes import SegmentScenes
from archdsl.training.data.targets import Targets
from archdsl.training.tasks.localisation.boundaries import Candidates, boundary_targets

NOISE = 0.5
"""Largest error of the chances that built-in data has."""


@dataclass(frozen=True)
class CandidateVideos:
    """Videos whose clips are candidates. Targets also have `candidates` (n, 2) in shares, and `chances` (n,)."""

    videos: Localised
    """Their clips are chances of an action, a start and an end: (3, t, 1, 1)."""
    inputs: Mapping[str, tuple[int, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the videos."""
        return self.videos.classes

    @property
    def multi_label(self) -> bool:
        """As the videos."""
        return self.videos.multi_label

    @property
    def left_out(self) -> tuple[str, ...]:
        """As the videos."""
        return getattr(self.videos, "left_out", ())

    def __len__(self) -> int:
        return len(self.videos)

    def name(self, index: int) -> str:
        """The video's."""
        return self.videos.name(index)

    def video(self, index: int) -> str:
        """The video's."""
        return self.videos.video(index)

    def truth_of_video(self, index: int) -> TrueSegments:
        """The video's."""
        return self.videos.truth_of_video(index)

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample = self.videos.read(index, request)
        name, made = self.candidates_in(sample)
        targets = sample.targets | {"candidates": made.segments, "chances": made.chances}
        return sample._replace(frames={name: made.features}, targets=targets)

    def candidate_segments(self, index: int) -> Targets:
        """`candidates` and `chances` of a video."""
        made = self.candidates_in(self.videos.read(index, ClipRequest(0)))[1]
        return {"candidates": made.segments, "chances": made.chances}

    def candidates_in(self, sample: Sample) -> tuple[str, Candidates]:
        """(the clip's name, the candidates) of a video's chances."""
        ((name, chances),) = sample.frames.items()
        return name, Candidates.of(chances[:, :, 0, 0], self.inputs[name][1])


@dataclass(frozen=True)
class ChanceScenes(SegmentScenes):
    """Scenes as chances of an action, a start and an end: the true ones, a little wrong."""

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample = super().read(index, request)
        ((name, clip),) = self.clips.items()
        (segments,) = sample.targets["segments"]
        chances = boundary_targets(segments, clip.frames)
        rng = Random(f"{self.seed} {index} chances")
        wrong = torch.tensor([rng.random() for _ in range(chances.numel())]).view_as(chances)
        return sample._replace(frames={name: mixed_chances(chances, wrong)[:, :, None, None]})


def mixed_chances(chances: Tensor, wrong: Tensor) -> Tensor:
    """Chances and a share of noise."""
    return (1 - NOISE) * chances + NOISE * wrong


def chances_of_truth(scenes: SegmentScenes) -> ChanceScenes:
    """The same scenes as chances."""
    return ChanceScenes(**vars(scenes))
