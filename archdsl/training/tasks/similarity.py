"""Texts that fit clips: each clip finds its caption among those of its batch (CLIP), or its class by name (X-CLIP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.graph import ancestors
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.scalars import Count
from archdsl.training.data.annotations.captioned_videos import SPECIAL_WORDS
from archdsl.training.data.annotations.texts import MARKS, ClassTexts, TextVideos, class_vocabulary, ids_of_texts
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.sources.built_in import moving_digits
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.retrieval import RetrievalScores, TextPair
from archdsl.training.evaluation.scores import check_finite, top_scores
from archdsl.training.evaluation.top_classes import TimeWindow, TopClasses
from archdsl.training.processes import own_rows, rows_of_all
from archdsl.training.tasks.base import Outputs, Task, TaskOptions
from archdsl.training.tasks.captions import Captioning, text_clip
from archdsl.training.tasks.classification import Classification


def clip_of_words(plan: Plan) -> str:
    """The name of the one clip of words. Raises SpecError."""
    compares = {"scores", "clip", "texts"} <= plan.outputs.keys()
    return text_clip(plan, "does not compare clips and texts", compares, "the head `similarity`")


def check_vocabulary(plan: Plan, clip: str, words: int, *, learnt: bool) -> None:
    """Raises SpecError where a clip of words has fewer ids than there are words, beside the marks of a text."""
    if plan.arch.clips[clip].ids < words + MARKS:
        raise SpecError(
            f"{plan.name} has fewer words than the texts",
            at=f"clips.{clip}.vocabulary",
            written=plan.arch.written,
            got=f"{plan.arch.clips[clip].ids} words",
            want=f"{words + MARKS}, or more: {words} and those that begin and end a text",
            fix=None if learnt else f"--set clips.{clip}.vocabulary={words + MARKS}",
        )


class SimilarityOptions(TaskOptions):
    """Which words are learnt, and what a prediction compares a video with."""

    least: Count = Field(1, description="how often a word must be there in the captions that are learnt from")
    texts: tuple[str, ...] = Field((), description="texts that a prediction ranks for each video")


class SimilarityTask(Captioning):
    """Beside each clip stands its caption; all others of the step's batch, over all processes, are wrong.

    With gradient accumulation those of the micro-batch are. Clips that cannot be read are nobody's. A text is a list of
    words, those of `words.txt` beside the captions where there is one. Networks that read several texts beside a clip
    tell classes by their names (X-CLIP), with the fields of `classification`.
    """

    name = "similarity"
    options_kind: ClassVar[type[TaskOptions]] = SimilarityOptions

    def __init__(self, plan: Plan, recipe: Recipe, options: Any = None) -> None:
        super().__init__(plan, recipe, options)
        self.known: tuple[str, ...] = ()
        if self.pictures.keys() & {*ancestors(plan.graph, plan.graph.outputs["texts"])}:
            raise SpecError(
                "a text that the clip beside it changes",
                at=f"clips.{self.words}.height",
                written=plan.arch.written,
                got="1 text beside each clip, and so none to compare it with",
                want="the names of all classes beside each clip, one text each",
                fix=f"--set clips.{self.words}.height=8",
            )

    clip_of_words = staticmethod(clip_of_words)

    @classmethod
    def fitting(cls, plan: Plan) -> type[Task]:
        return TextClasses if plan.arch.clips[clip_of_words(plan)].shape.h > 1 else cls

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        several = any(clip.modality == "text" and clip.shape.h > 1 for clip in arch.clips.values())
        return "smoke_similarity" if built_in else "xclip_k400" if several else "clip4clip_msrvtt"

    # data

    def with_texts(self, videos: Videos) -> TextVideos:
        """Captioned videos whose captions stand as texts beside the clips."""
        return TextVideos(videos, {self.words: self.word_clip})

    def built_in(self, data: str, split: str) -> Videos:
        return self.with_texts(super().built_in(data, split))

    def files(self, data: str, split: str) -> Videos:
        return self.with_texts(super().files(data, split))

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        """Classes are the words of all captions."""
        check_vocabulary(self.plan, self.words, len(classes), learnt=learnt)

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        return torch.ones_like(batch.weights)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Cross-entropy of each clip's text among all texts, and of its clip among all clips, half each.  (n,)"""
        assert isinstance(outputs, dict)
        clips, texts = (outputs[name].float().flatten(1) for name in ("clip", "texts"))
        scale = scale_of(outputs["scores"].float().flatten(1)[:, 0], (clips * texts).sum(1))
        every_clip, every_text, there = (rows_of_all(x) for x in (clips, texts, batch.weights))
        mine = own_rows(clips)
        away = torch.where(there > 0, 0.0, -torch.inf).expand(len(clips), -1)
        away = away.scatter(1, mine[:, None], 0.0)
        losses = [
            cross_entropy(scale * some @ others.T + away, mine, reduction="none")
            for some, others in ((clips, every_text), (texts, every_clip))
        ]
        return (losses[0] + losses[1]) / 2 / totals

    # evaluation

    def outputs(self, network: nn.Module, clips: Any) -> Any:
        """In a prediction the score of each text that is to be ranked: the network runs once for each.  (n, texts)"""
        if not self.known:
            return network(clips)
        pictures = {name: x for name, x in clips.items() if name != self.words}
        n = len(next(iter(pictures.values())))
        scores = []
        for text in self.options.texts:
            ids = ids_of_texts([text], self.known, self.word_clip)[None].expand(n, -1, -1, -1, -1)
            ids = ids.to(next(iter(pictures.values())).device)
            scores.append(network(pictures | {self.words: ids})["scores"].flatten(1))
        return torch.cat(scores, 1)

    def said(self, outputs: Any) -> Any:
        """The vectors of clips and texts; in a prediction how likely each text is."""
        if isinstance(outputs, Tensor):
            return [*outputs.float().softmax(1).cpu()]
        clips, texts = (outputs[name].float().flatten(1).cpu() for name in ("clip", "texts"))
        return [TextPair(*both) for both in zip(clips, texts)]

    def judged(self, said: Any, target: Any) -> Any:
        return said

    def joined(self, one: Any, other: Any) -> Any:
        return TextPair(one.clip + other.clip, one.text + other.text)

    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> Any:
        assert isinstance(videos, TextVideos)
        names = tuple(map(videos.name, found))
        check_finite({name: torch.cat([*one]) for name, one in zip(names, found.values())})
        clips, texts = (normalize(torch.stack([*one]), dim=1) for one in zip(*found.values()))
        return RetrievalScores(names, clips, texts, tuple(map(videos.caption, found)), skipped=skipped)

    # predictions

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        recipe, videos = super().alone(path)
        return recipe, self.with_texts(videos)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The texts that are ranked; `names` are the words of the run."""
        if not self.options.texts:
            raise SpecError(
                "no texts to rank",
                at="recipe.task.similarity.texts",
                written=self.recipe.written,
                got="none",
                want="texts that each video is compared with",
                fix="""--set 'recipe.task={similarity: {texts: ["a three moves left fast", "a nine moves up"]}}'""",
            )
        self.known = tuple(names or SPECIAL_WORDS)
        return tuple(self.options.texts)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> Prediction:  # type: ignore[override]
        """The likeliest texts of each window and of the video."""
        chances = torch.stack([view.said for view in views])
        check_finite({str(path): chances})
        windows = tuple(TimeWindow(one.start, one.end, top_scores(one.said, names, top)) for one in views)
        return TopClasses(path, top_scores(chances.mean(0), names, top), windows)


class TextClasses(Classification):
    """Beside each clip stand the names of all classes; the one that fits is its class (X-CLIP, arXiv:2208.02816)."""

    name = SimilarityTask.name

    @cached_property
    def words(self) -> str:
        """The clip of words."""
        return clip_of_words(self.plan)

    @property
    def pictures(self) -> dict[str, Clip]:
        """All other clips."""
        return {name: clip for name, clip in self.plan.arch.clips.items() if name != self.words}

    def with_names(self, videos: Videos) -> Videos:
        """Videos with the names of their classes beside each clip."""
        return ClassTexts(videos, {self.words: self.plan.arch.clips[self.words]})

    def built_in(self, data: str, split: str) -> Videos:
        return self.with_names(moving_digits(data, split, self.pictures))

    def files(self, data: str, split: str) -> Videos:
        arch = self.plan.arch.model_copy(update={"clips": self.pictures})
        return self.with_names(videos_for(data, split, arch, self.recipe))

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        texts = self.plan.arch.clips[self.words].shape.h
        if texts != len(classes):
            raise SpecError(
                f"{self.plan.name} reads another number of texts than there are classes",
                at=f"clips.{self.words}.height",
                written=self.plan.arch.written,
                got=f"{texts} texts",
                want=f"{len(classes)}: the names of all classes",
                fix=f"--set clips.{self.words}.height={len(classes)}",
            )
        check_vocabulary(self.plan, self.words, len(class_vocabulary(classes)), learnt=learnt)
        self.names = classes

    def columns(self, known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
        """Texts stand in the order of the data's classes: it must be the run's."""
        return super(Classification, self).columns(known, classes)

    def by_name(self, outputs: Outputs) -> dict[str, Tensor]:
        """The scores of the texts alone."""
        assert isinstance(outputs, dict)
        return {"scores": outputs["scores"].flatten(1)}

    @property
    def tested(self) -> tuple[str, ...]:
        return ("scores",)

    def check_inputs(self) -> None:
        check_modalities(self.pictures)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        texts = self.plan.arch.clips[self.words].shape.h
        self.names = tuple(names or (f"class {i}" for i in range(texts)))
        self.check_classes(self.names)
        return self.names

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        arch = self.plan.arch.model_copy(update={"clips": self.pictures})
        recipe, files = one_video(path, arch, self.recipe)
        return recipe, self.with_names(replace(files, classes=self.names))


def scale_of(scores: Tensor, cosines: Tensor) -> Tensor:
    """What the network multiplies cosines by, from the scores it gives: exp(s), with its gradient.  (n,), (n,) -> ()"""
    return (scores * cosines.detach()).sum() / (cosines * cosines.detach()).sum().clamp(min=1e-12)
