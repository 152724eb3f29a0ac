"""What persons do in given boxes: how well it is told, and what is said of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.errors import printable
from archdsl.report.table.formats import records_csv
from archdsl.report.table.sheet import Table
from archdsl.training.evaluation.average_precision import FrameActions, action_precisions
from archdsl.training.evaluation.boxes.box_pictures import MarkedBox, marked_frame
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.scores import top_scores
from archdsl.training.evaluation.top_classes import minutes_seconds

ACTIONS_SHOWN = 3
"""Actions of a box in a picture."""


@dataclass(frozen=True)
class ActionScores(Results):
    """Boxes of every key frame, what is said of them and what is true."""

    classes: tuple[str, ...]
    counted: tuple[int, ...]
    """Classes that figures are of."""
    frames: tuple[FrameActions, ...]

    @cached_property
    def precisions(self) -> dict[int, float]:
        """Of each tested class; NaN where nobody does it."""
        return action_precisions(self.frames, self.counted)

    @property
    def figures(self) -> dict[str, float]:
        """`map`: frame-mAP at an overlap of a half; the mean over classes that somebody does."""
        known = [one for one in self.precisions.values() if one == one]
        return {"map": sum(known) / len(known)}

    def lines(self) -> Iterator[dict[str, Any]]:
        """For every key frame its true boxes with their classes, and the best of each box that was read."""
        for name, frame in zip(self.names, self.frames):
            true = [
                {"box": box, "classes": [self.classes[i] for i in label.nonzero().flatten().tolist()]}
                for box, label in zip(frame.true_boxes.tolist(), frame.true_labels)
            ]
            said = [
                {"box": box, "best": [{"class": one, "score": score} for one, score in self.best(row)]}
                for box, row in zip(frame.boxes.tolist(), frame.scores)
            ]
            yield {"name": name, "true": true, "said": said}

    def best(self, row: Tensor) -> list[tuple[str, float]]:
        """The top classes of a box."""
        return top_scores(row, self.classes, 5)

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """classes.csv."""
        counts = torch.stack([frame.true_labels.sum(0) for frame in self.frames]).sum(0)
        rows = tuple(
            {"class": self.classes[i], "boxes": int(counts[i]), "ap": ap if ap == ap else None}
            for i, ap in self.precisions.items()
        )
        yield "classes.csv", records_csv(Table(title, (), (), rows))


class ActingBox(NamedTuple):
    """A box in pixels of its frame, and its top classes."""

    box: tuple[float, float, float, float]
    best: list[tuple[str, float]]


class ActingFrame(NamedTuple):
    """A key frame, when it is, and its boxes."""

    second: float
    frame: Tensor
    """(3, h, w) uint8"""
    boxes: list[ActingBox]


@dataclass(frozen=True)
class BoxActions(Prediction):
    """What is done in each box of each key frame of a file."""

    frames: tuple[ActingFrame, ...]

    def record(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "key_frames": [
                {
                    "second": one.second,
                    "width": one.frame.shape[2],
                    "height": one.frame.shape[1],
                    "boxes": [
                        {"box": [*box.box], "best": [{"class": name, "score": score} for name, score in box.best]}
                        for box in one.boxes
                    ],
                }
                for one in self.frames
            ],
        }

    def text(self) -> str:
        lines = [str(self.path)]
        for one in self.frames:
            for number, box in enumerate(one.boxes, 1):
                said = ", ".join(f"{name} {score:.3f}" for name, score in box.best)
                lines.append(f"  {minutes_seconds(one.second)}  box {number}  {said}")
        return printable("\n".join(lines))

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Each key frame with its boxes and their best classes."""
        for i, one in enumerate(self.frames):
            marked = [
                MarkedBox(box.box, [f"{name} {score:.2f}" for name, score in box.best[:ACTIONS_SHOWN]], number)
                for number, box in enumerate(one.boxes)
            ]
            yield f"{i:05d}.boxes.svg", marked_frame(one.frame, marked)
