"""Several heads with labels of their own: the verb and the noun of an action (EPIC-KITCHENS)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.sources.videos import Action, Files
from archdsl.training.data.synthetic.truth import DIGIT_NAMES, MOTION_NAMES, Truth
from archdsl.training.evaluation.metrics import top_classes
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.scores import Scores
from archdsl.training.evaluation.top_classes import TopClasses
from archdsl.training.tasks.base import Outputs, TaskOptions
from archdsl.training.tasks.class_losses import clip_losses
from archdsl.training.tasks.classification import Classification, VideoScores, over_positions, view_scores

SHOWN_PAIRS = 5
"""Right within the best so many actions: all labels at once, ranked by the product of their scores."""


def motion_and_digit(truth: Truth) -> Tensor:
    """How the one digit of a scene moves, and which it is, as 0 and 1.  (motions + digits,)"""
    target = torch.zeros(len(MOTION_NAMES) + len(DIGIT_NAMES))
    target[truth.motions[0]] = target[len(MOTION_NAMES) + truth.classes[0]] = 1
    return target


class OwnLabels(Classification):
    """Targets are the classes of each output, behind each other, as 0 and 1; a class is called `verb/3`.

    Every output learns one class of its own. An action is right where all labels are.
    """

    name = "own_labels"
    options_kind = TaskOptions

    def prepare(self, videos: Videos, device: torch.device) -> None:
        """Nothing: labels of their own are neither weighted nor taught."""

    def drawn_evenly(self, videos: Videos) -> None:
        """No class is drawn more often than its videos are there."""

    @property
    def sizes(self) -> dict[str, int]:
        """Output -> its classes."""
        return {name: self.plan.outputs[name][0] for name in self.tested}

    def built_in(self, data: str, split: str) -> Videos:
        """One digit: the first output tells its motion, the second which it is."""
        known = [MOTION_NAMES, DIGIT_NAMES]
        if [*self.sizes.values()] != [len(names) for names in known]:
            raise SpecError(
                "built-in data has two labels: 8 motions and 10 digits",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(f"{name}: {size}" for name, size in self.sizes.items()),
                want="two heads of 8 and 10 classes",
            )
        classes = tuple(f"{output}/{one}" for output, names in zip(self.sizes, known) for one in names)
        return replace(self.scenes(data, split, motion_and_digit, classes, digits=(1, 1)), multi_label=True)

    def files(self, data: str, split: str) -> Videos:
        """A list with a column for each output, such as `verb_class` and `noun_class`."""
        found = videos_for(data, split, self.plan.arch, self.recipe.but(loss="binary"))
        assert isinstance(found, Files)
        places = {f"{output}/{i}": i + start for output, start, size in self.parts for i in range(size)}
        odd = [name for name in found.classes if name not in places]
        if odd:
            raise SpecError(
                "labels of no output",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(odd[:3]),
                want=", ".join(f"{output}/0 to {output}/{size - 1}" for output, _, size in self.parts),
            )
        entries = tuple(
            replace(one, actions=tuple(Action(places[found.classes[a.label]], a.start, a.end) for a in one.actions))
            for one in found.entries
        )
        return replace(found, entries=entries, classes=tuple(places))

    @property
    def parts(self) -> list[tuple[str, int, int]]:
        """(output, its first class among all, its classes)."""
        starts = [sum([*self.sizes.values()][:i]) for i in range(len(self.sizes))]
        return [(name, start, size) for (name, size), start in zip(self.sizes.items(), starts)]

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        counts = {name: sum(one.partition("/")[0] == name for one in classes) for name in self.sizes}
        if counts != self.sizes or sum(counts.values()) != len(classes):
            raise SpecError(
                f"{self.plan.name} has other labels than {'its run' if of_run else 'the videos'}",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(f"{name}: {size}" for name, size in self.sizes.items()),
                want=", ".join(f"{name}: {count}" for name, count in counts.items()),
            )

    def columns(self, known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
        return super(Classification, self).columns(known, classes)

    def label_of(self, targets: Tensor, output: str) -> Tensor:
        """The shares of an output's classes, of all.  (..., classes) -> (..., size)"""
        start, size = next((start, size) for name, start, size in self.parts if name == output)
        return targets[..., start : start + size]

    def amounts(self, batch: Batch) -> Tensor:
        return batch.weights.new_ones(len(batch.weights))

    def label_losses(self, outputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        """The sum over outputs, as for two tasks learnt at once."""
        heads = {name: outputs[name] for name in self.sizes}
        return torch.stack([clip_losses(x, self.label_of(labels, name), self.recipe) for name, x in heads.items()]).sum(
            0
        )

    def said(self, outputs: Outputs) -> list[Any]:
        found = {name: view_scores(x.float(), self.recipe.views).cpu() for name, x in self.by_name(outputs).items()}
        rows = len(next(iter(found.values())))
        return [{name: over_positions(found[name][row]) for name in self.sizes} for row in range(rows)]

    def judged(self, said: Any, target: Tensor) -> Any:
        return {name: VideoScores(row.double(), 1, self.label_of(target, name).argmax()) for name, row in said.items()}

    def joined(self, one: Any, other: Any) -> Any:
        return {name: super(OwnLabels, self).joined(one[name], other[name]) for name in one}

    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> Any:
        scores = {}
        for output, start, size in self.parts:
            classes = tuple(name.partition("/")[2] for name in videos.classes[start : start + size])
            rows = [next(one[output].rows(videos.name(index), self.recipe.views)) for index, one in found.items()]
            names, values, labels = zip(*rows)
            scores[output] = Scores(names, classes, False, torch.stack(values), torch.stack(labels), skipped=skipped)
        return OwnScores(next(iter(scores.values())).names, scores, skipped=skipped)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or (f"{output}/{i}" for output, _, size in self.parts for i in range(size)))

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> Any:
        found = {}
        for output, start, size in self.parts:
            mine = [view._replace(said=view.said[output]) for view in views]
            classes = tuple(name.partition("/")[2] for name in names[start : start + size])
            found[output] = super().prediction(path, mine, classes, top)
        return OwnClasses(path, found)


@dataclass(frozen=True)
class OwnScores(Results):
    """The scores of every label."""

    parts: dict[str, Scores]

    @property
    def figures(self) -> dict[str, float]:
        """`action_top1` and `action_top5`, then those of each label."""
        each = {f"{output}_{name}": value for output, one in self.parts.items() for name, value in one.figures.items()}
        ranks = [self.rank(row) for row in range(len(self.names))]
        right = {f"action_top{k}": sum(rank < k for rank in ranks) / len(ranks) for k in (1, SHOWN_PAIRS)}
        return right | each

    def rank(self, row: int) -> int:
        """How many actions have a larger product of scores than the right one, of the 100 best of each label."""
        product, truth = torch.ones(1, dtype=torch.double), 1.0
        for one in self.parts.values():
            scores = one.scores[row].double()
            best = scores[top_classes(one.scores[row][None], 100)[0]]
            product, truth = (product[:, None] * best).flatten(), truth * float(scores[one.labels[row]])
        return int((product > truth).sum())

    def lines(self) -> Iterator[dict[str, Any]]:
        for records in zip(*(one.lines() for one in self.parts.values())):
            labels = {
                output: {"classes": one["classes"], "best": one["best"]} for output, one in zip(self.parts, records)
            }
            yield {"name": records[0]["name"]} | labels

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        for output, one in self.parts.items():
            for name, text in one.files(f"{title}: {output}"):
                yield f"{output}_{name}", text


@dataclass(frozen=True)
class OwnClasses(Prediction):
    """The top classes of every label."""

    parts: dict[str, TopClasses]

    def record(self) -> dict[str, Any]:
        return {"path": str(self.path)} | {
            output: {key: value for key, value in one.record().items() if key != "path"}
            for output, one in self.parts.items()
        }

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        for output, one in self.parts.items():
            yield from ((f"{output}.{ending}", data) for ending, data in one.pictures())

    def text(self) -> str:
        told = [f"{output}\n" + one.text().partition("\n")[2] for output, one in self.parts.items()]
        return "\n".join([str(self.path), *told])
