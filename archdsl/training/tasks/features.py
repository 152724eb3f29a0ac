"""Features of an encoder without a head: clips of one class lie near each other (arXiv:2004.11362)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.spec.scalars import Positive
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.evaluation.neighbours import FeatureVectors, NeighbourScores
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.processes import own_rows, rows_of_all
from archdsl.training.tasks.base import Outputs, Task, TaskOptions
from archdsl.training.tasks.classification import Classification

NEVER = -1e9
"""Score of a clip that is not looked at: finite, so that a clip alone has a gradient of zeros."""


class FeaturesOptions(TaskOptions):
    """How sharply clips are told from each other."""

    temperature: Positive = Field(0.1, description="what cosines of clips are divided by")


class FeaturesTask(Classification):
    """The mean of the map is pulled towards those of clips that share a class, in the batch of all processes.

    Targets are classification's. With gradient accumulation the other clips are those of the micro-batch. A clip that
    shares its class with none adds nothing. What an encoder was pre-trained by in its paper stands in a network of its
    own where the zoo has it: `vjepa2_vitl_pretrain` for `vjepa2_vitl`.
    """

    name = "features"
    options_kind: ClassVar[type[TaskOptions]] = FeaturesOptions
    reads_of_scores = ()

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke" if built_in else "encoder_k400"

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        """Any classes will do, of a network with one map."""
        if len(self.plan.outputs) != 1:
            raise SpecError(
                f"{self.plan.name} has several maps of features",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(self.plan.outputs),
                want="the head `features`",
            )

    def columns(self, known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
        """Classes of other videos may be others."""
        return {}

    def mixed(
        self, clips: Clips, targets: Targets, readable: Sequence[bool], videos: Videos, seed: str
    ) -> tuple[Clips, Targets]:
        return clips, targets

    def prepare(self, videos: Videos, device: torch.device) -> None:
        """Nothing beside the network."""

    def drawn_evenly(self, videos: Videos) -> list[list[int]] | None:
        return None

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        return torch.ones_like(batch.weights)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Of each clip the mean over those like it: how likely it is taken for them, among all others.  (n,)"""
        mine = self.vectors(outputs)
        every, there, labels = (rows_of_all(x) for x in (mine, batch.weights, batch.targets))
        others = (there > 0) & (torch.arange(len(every), device=mine.device) != own_rows(mine)[:, None])
        like = alike(batch.targets, labels) & others
        scores = (mine @ every.T / self.options.temperature).masked_fill(~others, NEVER)
        logs = torch.where(like, scores - scores.logsumexp(1, keepdim=True), 0.0)
        return -logs.sum(1) / like.sum(1).clamp(min=1) / totals

    def vectors(self, outputs: Outputs) -> Tensor:
        """The mean over all positions, of length 1.  (n, c)"""
        (found,) = self.by_name(outputs).values()
        return normalize(found.float().flatten(2).mean(2), dim=1)

    # evaluation

    def said(self, outputs: Outputs) -> list[Tensor]:
        return [*self.vectors(outputs).cpu()]

    def judged(self, said: Tensor, target: Tensor) -> Any:
        return said, target

    def joined(self, one: Any, other: Any) -> Any:
        return one[0] + other[0], one[1]

    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> Any:
        names = tuple(map(videos.name, found))
        check_finite({name: one for name, (one, _) in zip(names, found.values())})
        features, labels = (torch.stack([*one]) for one in zip(*found.values()))
        return NeighbourScores(names, normalize(features, dim=1), alike(labels, labels), skipped=skipped)

    # predictions

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return Task.class_names(self, names)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> Any:
        check_finite({f"{path} at {one.start:g} s": one.said for one in views})
        return FeatureVectors(path, tuple(views))


def alike(some: Tensor, others: Tensor) -> Tensor:
    """Whether clips share a class.  (n,), (m,) or (n, classes), (m, classes) -> (n, m) of bool"""
    return some @ others.T > 0 if some.is_floating_point() else some[:, None] == others
