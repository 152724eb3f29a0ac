"""Temporal localisation: TAL-Net, BSN and BMN over sequences of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.annotations.feature_sequences import (
    FEATURE_SUFFIXES,
    FeatureSequences,
    Localised,
    SequenceEntry,
    read_feature_rows,
    windows_over,
)
from archdsl.training.data.annotations.segment_lists import feature_sequences
from archdsl.training.data.annotations.segment_writer import write_activitynet, write_thumos
from archdsl.training.data.clips import Batch, Unreadable, Videos
from archdsl.training.data.synthetic.segment_scenes import SegmentScenes
from archdsl.training.data.synthetic.truth import MOTION_NAMES, Truth
from archdsl.training.data.targets import Targets
from archdsl.training.evaluation.localisation import SegmentScores, SegmentTimes
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.evaluation.segment_metrics import Detections
from archdsl.training.tasks.base import Outputs, Task, TaskOptions
from archdsl.training.tasks.localisation.anchors import AnchorReader
from archdsl.training.tasks.localisation.boundaries import BoundaryReader, OverlapReader
from archdsl.training.tasks.localisation.boundary_matching import MatchingReader
from archdsl.training.tasks.localisation.candidate_videos import CandidateVideos, chances_of_truth
from archdsl.training.tasks.localisation.reader import Reader

READERS: tuple[type[Reader], ...] = (AnchorReader, MatchingReader, OverlapReader, BoundaryReader)
"""Every kind of localiser."""
CHANCE_NAMES = ("action", "start", "end")
"""Columns of what BSN's second network is made from."""
SCORED_POSITIONS = 100
"""Of these."""


def segments_known(truth: Truth) -> Targets:
    """Scenes of segments say their targets themselves."""
    return {}


class LocalisationOptions(TaskOptions):
    """How detections are counted."""

    metric: Literal["thumos14", "activitynet"] | None = Field(
        None, description="of detections with classes: thumos14 (default) or activitynet; proposals: AR and its area"
    )


class Localisation(Task):
    """Targets are `segments`, a list of one (k, 2) in shares of the window; `labels` (k,); `window`, start and seconds.

    What the network's outputs mean is their reader's: see this folder's other files.
    """

    name = "localisation"
    suffixes = FEATURE_SUFFIXES
    options_kind: ClassVar[type[TaskOptions]] = LocalisationOptions

    def __init__(self, plan: Plan, recipe: Recipe, options: Any = None) -> None:
        super().__init__(plan, recipe, options)
        found = [kind for kind in READERS if kind.reads(plan)]
        if not found:
            raise SpecError(
                f"{plan.name} is no localiser that is known",
                at="head",
                written=plan.arch.head.written,
                got=", ".join(f"{name} of shape {shape}" for name, shape in plan.outputs.items()),
                want="outputs as those of tal_net, bmn, bsn_tem or bsn_pem",
            )
        self.reader = found[0](plan)

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        if built_in:
            return "smoke_localisation"
        names = [type(arch.head).__name__, *arch.pathways]
        if names[0] == "SegmentDetector":
            return "tal_net_thumos14"
        first = next(iter(arch.clips.values()))
        return "bmn_activitynet" if "proposals" in names else "bsn_pem" if first.shape.c == 32 else "bsn_tem"

    # data

    @property
    def rates_candidates(self) -> bool:
        """Whether it is BSN's second network."""
        return isinstance(self.reader, OverlapReader)

    @property
    def read_clips(self) -> Mapping[str, Clip]:
        """The clips that files hold; of BSN's second network what the first says."""
        clips = self.plan.arch.clips
        if not self.rates_candidates:
            return clips
        name, clip = next(iter(clips.items()))
        return {name: clip.but(channels=len(CHANCE_NAMES), frames=SCORED_POSITIONS)}

    def with_candidates(self, videos: Localised) -> Videos:
        """The videos; of BSN's second network their candidates."""
        return CandidateVideos(videos, self.plan.inputs) if self.rates_candidates else videos

    def segment_scenes(self, data: str, split: str) -> SegmentScenes:
        """Built-in scenes as files would hold them; classes that the network has beyond theirs are not there."""
        more = self.plan.outputs["scores"][0] - 1 - len(MOTION_NAMES) if self.reader.classwise else 0
        names = (*MOTION_NAMES, *(f"unused {i}" for i in range(len(MOTION_NAMES), len(MOTION_NAMES) + more)))
        made = SegmentScenes(**vars(self.scenes(data, split, segments_known, names)) | {"clips": self.read_clips})
        return chances_of_truth(made) if self.rates_candidates else made

    def built_in(self, data: str, split: str) -> Videos:
        return self.with_candidates(self.segment_scenes(data, split))

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """THUMOS'14's folder for clips with a rate, else ActivityNet's."""
        scenes = {split: self.segment_scenes(f"motion:{count}", split) for split, count in counts.items()}
        fps = next(iter(self.read_clips.values())).fps
        if fps:
            return write_thumos(out, scenes, float(fps))
        folder, head = ("tem", ",".join(CHANCE_NAMES)) if self.rates_candidates else ("csv_mean_100", "")
        return write_activitynet(out, scenes, folder, head)

    def files(self, data: str, split: str) -> Videos:
        """A folder of annotations and features: see `feature_sequences`."""
        return self.with_candidates(feature_sequences(data, split, self.read_clips))

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        if not self.reader.classwise:
            return
        if self.plan.outputs["scores"][0] != len(classes) + 1:
            raise SpecError(
                f"{self.plan.name} has another number of classes than {'its run' if of_run else 'the videos'}",
                at="head",
                written=self.plan.arch.head.written,
                got=f"{self.plan.outputs['scores'][0] - 1} classes",
                want=f"{len(classes)}: {', '.join(classes[:4])}{', ...' * (len(classes) > 4)}",
                fix=None if learnt else f"--classes {len(classes)}",
            )

    def blank(self, videos: Videos) -> Targets:
        none = {"segments": [torch.zeros(0, 2)], "labels": [torch.zeros(0, dtype=torch.long)]}
        found: Targets = none | {"window": torch.tensor([0.0, 1.0], dtype=torch.float64)}
        if self.rates_candidates:
            count = next(iter(self.plan.inputs.values()))[1]
            found |= {"candidates": torch.zeros(count, 2), "chances": torch.zeros(count)}
        return found

    def target_bytes(self) -> int:
        """Maps over proposals, anchors or positions, in a few versions."""
        return 16 * sum(torch.Size(shape).numel() for shape in self.plan.outputs.values())

    # loss

    def by_name(self, outputs: Outputs) -> dict[str, Tensor]:
        """Outputs by name, in single precision."""
        found = outputs if isinstance(outputs, dict) else {next(iter(self.plan.outputs)): outputs}
        return {name: x.float() for name, x in found.items()}

    def amounts(self, batch: Batch) -> Tensor:
        return self.reader.amounts(batch)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        return self.reader.loss(self.by_name(outputs), batch, totals)

    # evaluation

    def said(self, outputs: Outputs) -> list[FoundInClip]:
        found = self.by_name(outputs)
        rows = zip(*(x.flatten(1).unbind(0) for x in found.values()))
        check_finite({f"clip {i}": torch.cat(row) for i, row in enumerate(rows)})
        chances = self.reader.chances(found)
        several = self.reader.detections(found)
        return [FoundInClip(one, None if chances is None else chances[i]) for i, one in enumerate(several)]

    def judged(self, said: FoundInClip, target: Targets) -> FoundInVideo:
        """What is found, in seconds; of candidates their place and chance are the target's."""
        found = said.detections
        if self.rates_candidates:
            there = target["candidates"][:, 1] > 0
            found = Detections(target["candidates"], found.scores * target["chances"], found.labels).of(there)
        start, seconds = target["window"].tolist()
        return FoundInVideo(found._replace(segments=start + seconds * found.segments.double()), start + seconds)

    def joined(self, one: FoundInVideo, other: FoundInVideo) -> FoundInVideo:
        """All that both found."""
        parts = zip(one.detections, other.detections)
        return FoundInVideo(Detections(*map(torch.cat, parts)), max(one.end, other.end))

    def results(self, found: Mapping[int, FoundInVideo], videos: Videos, skipped: tuple[str, ...]) -> SegmentScores:
        assert isinstance(videos, Localised)
        truth = {videos.video(i): videos.truth_of_video(i) for i in found}
        joined: dict[str, FoundInVideo] = {}
        for i, one in found.items():
            name = videos.video(i)
            joined[name] = self.joined(joined[name], one) if name in joined else one
        if not any(len(one.labels) for one in truth.values()):
            raise SpecError("no segment to find", got=f"{len(truth)} videos without segments", want="some segments")
        kept = {name: self.reader.suppressed(*one) for name, one in joined.items()}
        metric = (self.options.metric or "thumos14") if self.reader.classwise else "proposals"
        return SegmentScores(tuple(joined), videos.classes, truth, kept, metric, skipped=skipped)

    # predictions

    def check_inputs(self) -> None:
        """Features are read of a file."""

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        """A file of features, as windows that cover it; without a rate its times are shares of it."""
        if path.suffix not in FEATURE_SUFFIXES:
            raise Unreadable(str(path), f"no features: {', '.join(FEATURE_SUFFIXES)}")
        if len(self.read_clips) > 1:
            raise Unreadable(str(path), f"the network reads {', '.join(self.read_clips)} at once: `evaluate` does")
        name, clip = next(iter(self.read_clips.items()))
        rows = len(read_feature_rows(path, str(path), clip.shape.c))
        entry = SequenceEntry(str(path), {name: path}, (), rows / float(clip.fps) if clip.fps else 1.0)
        entries = tuple(windows_over(entry, rows, clip)) if clip.fps else (entry,)
        recipe = self.recipe.but(views=self.recipe.views.but(clips=1, crops=1))
        return recipe, self.with_candidates(FeatureSequences(entries, (), self.read_clips))

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        if not self.reader.classwise:
            return ("segment",)
        count = self.plan.outputs["scores"][0] - 1
        return tuple(names) if names else tuple(f"class {i}" for i in range(count))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> SegmentTimes:
        videos = self.alone(path)[1]
        found: FoundInVideo | None = None
        for i, view in enumerate(views):
            one = self.judged(view.said, self.target_of_file(videos, i, view))
            found = one if found is None else self.joined(found, one)
        assert found is not None
        _, clip = next(iter(self.read_clips.items()))
        kept = self.reader.suppressed(*found)
        chances = views[0].said.chances
        columns = None if chances is None else dict(zip(CHANCE_NAMES, chances.tolist()))
        return SegmentTimes(path, names, top, views[-1].end, kept, bool(clip.fps), columns)

    def target_of_file(self, videos: Videos, index: int, view: ViewOutput) -> Targets:
        """Where a view of a file lies, and its candidates."""
        window = {"window": torch.tensor([view.start, view.end - view.start], dtype=torch.float64)}
        return window | (videos.candidate_segments(index) if isinstance(videos, CandidateVideos) else {})


class FoundInClip(NamedTuple):
    """What was found in a clip, in shares of it, and what another network reads of it."""

    detections: Detections
    chances: Tensor | None


class FoundInVideo(NamedTuple):
    """What was found in a video, in seconds, and where it ends."""

    detections: Detections
    end: float
