"""A task that is not classification: where digits are. Each clip has as many places as digits, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archdsl.language import Arch
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.synthetic.truth import Truth
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import move_boxes, move_labels
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results
from archdsl.training.tasks.base import Outputs, Task, TaskOptions


def places_of(truth: Truth) -> Targets:
    """Boxes of the first frame, in a list since their number varies, and who owns its pixels."""
    return {"boxes": [truth.boxes[0]], "map": truth.owners[0]}


class Where(TaskOptions):
    """Options of the toy."""

    scale: int = 1


@dataclass(frozen=True)
class Misses(Results):
    """Distances of all videos."""

    distances: tuple[float, ...]

    @property
    def figures(self) -> dict[str, float]:
        return {"miss_px": sum(self.distances) / len(self.distances)}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, miss in zip(self.names, self.distances):
            yield {"name": name, "miss": miss}


@dataclass(frozen=True)
class Place(Prediction):
    """A point."""

    point: tuple[float, ...]

    def record(self) -> dict[str, Any]:
        return {"path": str(self.path), "point": list(self.point)}

    def text(self) -> str:
        return f"{self.path} {self.point}"


class Places(Task):
    """The first two scores are a point; its loss is the mean distance to all digits of the step."""

    name = "places"
    options_kind = Where

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke"

    def built_in(self, data: str, split: str) -> Videos:
        return self.scenes(data, split, places_of, ())

    def files(self, data: str, split: str) -> Videos:
        raise NotImplementedError

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        assert classes == ()

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        return {"boxes": [move_boxes(targets["boxes"][0], cut)], "map": move_labels(targets["map"], cut)}

    def blank(self, videos: Videos) -> Targets:
        return {"boxes": [torch.zeros(0, 4)], "map": torch.zeros(32, 32, dtype=torch.long)}

    def amounts(self, batch: Batch) -> Tensor:
        return torch.tensor([float(len(boxes)) for (boxes,) in batch.targets["boxes"]])

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        assert isinstance(outputs, Tensor)
        assert len(batch.targets["map"]) == len(outputs)
        pairs = zip(outputs, batch.targets["boxes"])
        sums = [(point[:2] - boxes[:, :2] / 32).abs().sum() for point, (boxes,) in pairs]
        return self.options.scale * torch.stack(sums) / totals

    def said(self, outputs: Outputs) -> list[Tensor]:
        assert isinstance(outputs, Tensor)
        return [*outputs[:, :2].float().cpu()]

    def judged(self, said: Tensor, target: Targets) -> float:
        (boxes,) = target["boxes"]
        return float((32 * said - boxes[:, :2].mean(0)).norm())

    def joined(self, one: float, other: float) -> float:
        return max(one, other)

    def results(self, found: Mapping[int, float], videos: Videos, skipped: tuple[str, ...]) -> Misses:
        return Misses(tuple(map(videos.name, found)), tuple(found.values()), skipped=skipped)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> Place:
        return Place(path, tuple(torch.stack([view.said for view in views]).mean(0).tolist()))
