"""Classification: one class for each clip, or several that hold independently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.language import Arch
from archdsl.language.recipes.clips import Views
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.recipes.unread import OF_CLASS_SCORES
from archdsl.spec.base import Written
from archdsl.spec.scalars import Positive, Real
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.sources.built_in import moving_digits
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.data.transforms.noise import mix_clips
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import Scores, check_finite, top_scores
from archdsl.training.evaluation.top_classes import ClassScores, TimeWindow, TopClasses
from archdsl.training.state.compatibility import Labelled, summarize_videos
from archdsl.training.tasks.base import Outputs, Task, TaskOptions
from archdsl.training.tasks.class_losses import balanced_weights, clip_amounts, clip_losses, taught_losses
from archdsl.training.tasks.teacher import load_teacher

FEW_CLASSES = "add an empty folder for each class without videos, or list all names in classes.txt"
"""How videos come to have the classes that weights were learnt with."""


class Teacher(Written):
    """A trained network whose scores are learnt beside the labels (distillation, arXiv:1503.02531)."""

    run: str = Field(description="folder of the teacher's run, or a checkpoint in it")
    temperature: Positive = Field(4.0, description="what scores of both are divided by")
    hard: Annotated[Real, Field(ge=0, le=1)] = Field(0.5, description="share of the loss that the labels have")


class ClassificationOptions(TaskOptions):
    """How labels count."""

    class_weights: Literal["none", "balanced"] | dict[str, Positive] = Field(
        "none",
        description="none, balanced (in inverse proportion to a class's videos), or weights by name",
    )
    draw: Literal["videos", "classes"] = Field(
        "videos", description="what a step draws: each video once an epoch, or all classes equally often"
    )
    teacher: Teacher | None = Field(None, description="another run to learn from")


class Classification(Task):
    """Targets are () the class, or (classes,) of 0 and 1 where a video may have several.

    Scores may have positions in time; labels then are (t,) too, or hold for all of them. Several heads learn the same
    labels; auxiliary ones are read by no test.
    """

    name = "classification"
    options_kind: ClassVar[type[TaskOptions]] = ClassificationOptions
    reads_of_scores: ClassVar[tuple[str, ...]] = OF_CLASS_SCORES
    weights: Tensor | None = None
    """Of classes, in training."""
    teacher: nn.Module | None = None

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
            if shape[:1] != (wanted,) or len(shape) > 2:
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

    def prepare(self, videos: Videos, device: torch.device) -> None:
        wanted, classes = self.options.class_weights, videos.classes
        if wanted == "balanced" or self.options.draw == "classes":
            check_counted(videos, self.recipe)
        if wanted == "balanced":
            self.weights = balanced_weights(summarize_videos(videos).counts).to(device)
        elif wanted != "none":
            self.weights = named_weights(wanted, classes, self.recipe).to(device)
        if self.options.teacher:
            self.teacher = load_teacher(self.options.teacher.run, self.plan, classes, self.recipe).to(device)

    def drawn_evenly(self, videos: Videos) -> list[list[int]] | None:
        if self.options.draw == "videos":
            return None
        assert isinstance(videos, Labelled)
        members: list[list[int]] = [[] for _ in videos.classes]
        for index in range(len(videos)):
            members[videos.labels(index)[0]].append(index)
        return [*filter(None, members)]

    def label_losses(self, outputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        """The loss of the labels: that of every head, times its share.  (n,)"""
        shares = self.shares
        losses = {name: clip_losses(x, labels, self.recipe, self.weights) for name, x in outputs.items()}
        return torch.stack([shares.get(name, 1.0) * loss for name, loss in losses.items()]).sum(0)

    @property
    def shares(self) -> dict[str, float]:
        """What the loss of each output is multiplied by; outputs that are tested have 1."""
        auxiliary = getattr(self.plan.arch.head, "auxiliary", {})
        return {name: auxiliary.get(name, 1.0) for name in self.plan.outputs}

    @property
    def tested(self) -> tuple[str, ...]:
        """The outputs that are tested."""
        auxiliary = getattr(self.plan.arch.head, "auxiliary", {})
        return tuple(name for name in self.plan.outputs if name not in auxiliary)

    def by_name(self, outputs: Outputs) -> dict[str, Tensor]:
        """Outputs by name, also where the network has one."""
        return outputs if isinstance(outputs, dict) else {next(iter(self.plan.outputs)): outputs}

    def average(self, outputs: Outputs) -> Tensor:
        """Scores of the tested heads, averaged."""
        found = self.by_name(outputs)
        return torch.stack([found[name] for name in self.tested if name in found] or [*found.values()]).mean(0).float()

    def amounts(self, batch: Batch) -> Tensor:
        return clip_amounts(batch.targets, self.weights)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        losses = self.label_losses(self.by_name(outputs), batch.targets)
        if self.teacher is None:
            return losses / totals
        with torch.no_grad():
            taught = self.average(self.teacher(batch.clips))
        soft = taught_losses(self.average(outputs), taught, self.options.teacher.temperature)
        return (self.options.teacher.hard * losses + (1 - self.options.teacher.hard) * soft) / totals

    def said(self, outputs: Outputs) -> list[Tensor]:
        """The scores of each view, as they are joined: (classes,), or (classes, t) with positions."""
        return [*view_scores(self.average(outputs), self.recipe.views).cpu()]

    def judged(self, said: Tensor, target: Tensor) -> VideoScores:
        """Labels of frames stay apart; those of the clip are told by the mean over its positions."""
        framed = said.ndim > 1 and target.ndim == (2 if target.is_floating_point() else 1)
        return VideoScores((said if framed else over_positions(said)).double(), 1, target)

    def joined(self, one: VideoScores, other: VideoScores) -> VideoScores:
        """Scores are summed, or the maximum is kept."""
        largest = self.recipe.views.join == "max"
        scores = torch.maximum(one.scores, other.scores) if largest else one.scores + other.scores
        return VideoScores(scores, one.views + other.views, one.label)

    def results(self, found: Mapping[int, VideoScores], videos: Videos, skipped: tuple[str, ...]) -> Scores:
        whole = [one for index, video in found.items() for one in video.rows(videos.name(index), self.recipe.views)]
        names, rows, labels = zip(*whole)
        check_finite(dict(zip(names, rows)))
        return Scores(
            names, videos.classes, videos.multi_label, torch.stack(rows), torch.stack(labels), skipped=skipped
        )

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
        scores = torch.stack([over_positions(view.said) for view in views])
        check_finite({str(path): scores})

        def joined(rows: Tensor) -> ClassScores:
            return top_scores(rows.amax(0) if largest else rows.mean(0), names, top)

        firsts = range(0, len(scores), crops)
        windows = [TimeWindow(views[i].start, views[i].end, joined(scores[i : i + crops])) for i in firsts]
        return TopClasses(path, joined(scores), tuple(windows))


def over_positions(scores: Tensor) -> Tensor:
    """The mean over positions, where there are any.  (classes, ...) -> (classes,)"""
    return scores.flatten(1).mean(1) if scores.ndim > 1 else scores


def check_counted(videos: Videos, recipe: Recipe) -> None:
    """Raises SpecError for videos whose classes are known only once they are read, or that have several."""
    if isinstance(videos, Labelled) and not videos.multi_label and sum(summarize_videos(videos).counts) == len(videos):
        return
    raise SpecError(
        "classes of the videos cannot be balanced",
        at="recipe.task.classification",
        written=recipe.written,
        got="several labels, or labels that are known once a video is read",
        want="one label for each video of a folder, of shards or of a list",
    )


def named_weights(wanted: Mapping[str, float], classes: tuple[str, ...], recipe: Recipe) -> Tensor:
    """A weight for each class: those that are named, else 1. Raises SpecError for a name that is no class."""
    odd = [name for name in wanted if name not in classes]
    if odd:
        raise SpecError(
            "a weight of no class",
            at=f"recipe.task.classification.class_weights.{odd[0]}",
            written=recipe.written,
            got=odd[0],
            want=listed(classes, f"one of {len(classes)} classes"),
            fix=did_you_mean(odd[0], classes),
        )
    return torch.tensor([float(wanted.get(name, 1.0)) for name in classes])


class VideoScores(NamedTuple):
    """A video's scores joined so far, the number of their views, and its label."""

    scores: Tensor
    """(classes,), or (classes, t) where frames have labels"""
    views: int
    label: Tensor

    def rows(self, name: str, views: Views) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name, scores, label) of the video, or of each of its frames."""
        scores = (self.scores if views.join == "max" else self.scores / self.views).float()
        if scores.ndim == 1:
            yield name, scores, self.label
        else:
            for frame, row in enumerate(scores.T):
                yield f"{name}#{frame}", row, self.label[..., frame]


def view_scores(scores: Tensor, views: Views) -> Tensor:
    """The scores of a view as they are joined: softmax, sigmoid or logits."""
    match views.scores:
        case "softmax":
            return scores.softmax(1)
        case "sigmoid":
            return scores.sigmoid()
        case _:
            return scores
