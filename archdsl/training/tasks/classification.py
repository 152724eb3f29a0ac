"""Classification: one class for each clip, or several that hold independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.language import Arch
from archdsl.language.recipes.clips import Views
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.sources.built_in import moving_digits
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.data.transforms.noise import mix_clips
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import Scores, check_finite, top_scores
from archdsl.training.evaluation.top_classes import ClassScores, TimeWindow, TopClasses
from archdsl.training.tasks.base import Outputs, Task

FEW_CLASSES = "add an empty folder for each class without videos, or list all names in classes.txt"
"""How videos come to have the classes that weights were learnt with."""


class Classification(Task):
    """Targets are () the class, or (classes,) of 0 and 1 where a video may have several."""

    name = "classification"

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        segments = any(pathway.segments for pathway in arch.pathways.values())
        return "smoke" if built_in else "tsn_k400" if segments else "slowfast_k400"

    def built_in(self, data: str, split: str) -> Videos:
        return moving_digits(data, split, self.plan.arch.clips)

    def files(self, data: str, split: str) -> Videos:
        return videos_for(data, split, self.plan.arch, self.recipe)

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        wanted = len(classes)
        for name, shape in self.plan.outputs.items():
            if shape != (wanted,):
                fix = None if learnt else f"--classes {wanted}"
                few = learnt and not of_run and len(shape) == 1 and shape[0] > wanted
                raise SpecError(
                    f"{self.plan.name} has another number of classes than {'its run' if of_run else 'the videos'}",
                    at="head",
                    written=self.plan.arch.written,
                    got=f"{name} of shape {shape}" + (", and no run that lists its classes" if few else ""),
                    want=f"({wanted},): {', '.join(classes[:4])}{', ...' if wanted > 4 else ''}",
                    fix=FEW_CLASSES if few else fix,
                )

    def columns(self, known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
        """The videos' classes first, then the others in alphabetical order."""
        place = {name: i for i, name in enumerate(known)}
        missing = [name for name in classes if name not in place]
        if missing:
            raise SpecError(
                "videos have classes that the run does not",
                got=", ".join(missing[:3]),
                want=listed(known, f"one of the {len(known)} classes in run.json"),
                fix=did_you_mean(missing[0], known),
            )
        return {name: place[name] for name in (*classes, *sorted(place.keys() - set(classes)))}

    def mixed(
        self, clips: Clips, targets: Targets, readable: Sequence[bool], videos: Videos, seed: str
    ) -> tuple[Clips, Targets]:
        return mix_clips(clips, targets, readable, self.recipe.augment, len(videos.classes), seed)

    def blank(self, videos: Videos) -> Targets:
        return torch.zeros(len(videos.classes)) if videos.multi_label else torch.tensor(0)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        return clip_losses(outputs, batch.targets, self.recipe) / totals

    def said(self, outputs: Outputs) -> list[Tensor]:
        """The scores of each view, as they are joined."""
        return [*view_scores(average_heads(outputs).float(), self.recipe.views).cpu()]

    def judged(self, said: Tensor, target: Tensor) -> VideoScores:
        return VideoScores(said.double(), 1, target)

    def joined(self, one: VideoScores, other: VideoScores) -> VideoScores:
        """Scores are summed, or the maximum is kept."""
        largest = self.recipe.views.join == "max"
        scores = torch.maximum(one.scores, other.scores) if largest else one.scores + other.scores
        return VideoScores(scores, one.views + other.views, one.label)

    def results(self, found: Mapping[int, VideoScores], videos: Videos, skipped: tuple[str, ...]) -> Scores:
        largest = self.recipe.views.join == "max"
        rows = [one.scores if largest else one.scores / one.views for one in found.values()]
        scores = torch.stack(rows).float()
        names = tuple(videos.name(index) for index in found)
        check_finite(dict(zip(names, scores)))
        labels = torch.stack([one.label for one in found.values()])
        return Scores(names, videos.classes, videos.multi_label, scores, labels, skipped=skipped)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        shapes = set(self.plan.outputs.values())
        shape = next(iter(shapes))
        if len(shapes) > 1 or len(shape) != 1:
            shapes_text = ", ".join(f"{name} {shape}" for name, shape in self.plan.outputs.items())
            raise SpecError(
                f"{self.plan.name} does not output class scores", at="head", got=shapes_text, want="(classes,)"
            )
        if names is not None and len(names) != shape[0]:
            raise SpecError(
                "as many class names as scores are needed",
                got=f"{len(names)} names, {shape[0]} scores",
                want="one name for each score, in the order of labels",
            )
        return tuple(names) if names is not None else tuple(f"class {i}" for i in range(shape[0]))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> TopClasses:
        """Top classes of each window (its crops joined) and of the video."""
        crops, largest = self.recipe.views.crops, self.recipe.views.join == "max"
        scores = torch.stack([view.said for view in views])
        check_finite({str(path): scores})

        def joined(rows: Tensor) -> ClassScores:
            return top_scores(rows.amax(0) if largest else rows.mean(0), names, top)

        firsts = range(0, len(scores), crops)
        windows = [TimeWindow(views[i].start, views[i].end, joined(scores[i : i + crops])) for i in firsts]
        return TopClasses(path, joined(scores), tuple(windows))


class VideoScores(NamedTuple):
    """A video's scores joined so far, the number of their views, and its label."""

    scores: Tensor
    views: int
    label: Tensor


def clip_losses(scores: Outputs, labels: Tensor, recipe: Recipe) -> Tensor:
    """The loss of each clip; of several heads the sum.  (n, classes) -> (n,)"""
    if isinstance(scores, dict):
        return torch.stack([clip_losses(one, labels, recipe) for one in scores.values()]).sum(0)
    if recipe.loss == "binary":
        spread = labels * (1 - recipe.smoothing) + recipe.smoothing / 2
        return binary_cross_entropy_with_logits(scores.float(), spread, reduction="none").mean(1)
    return cross_entropy(scores.float(), labels, reduction="none", label_smoothing=recipe.smoothing)


def average_heads(scores: Outputs) -> Tensor:
    """Scores of the network; the average of several heads."""
    return torch.stack(list(scores.values())).mean(0) if isinstance(scores, dict) else scores


def view_scores(scores: Tensor, views: Views) -> Tensor:
    """The scores of a view as they are joined: softmax, sigmoid or logits."""
    match views.scores:
        case "softmax":
            return scores.softmax(1)
        case "sigmoid":
            return scores.sigmoid()
        case _:
            return scores
