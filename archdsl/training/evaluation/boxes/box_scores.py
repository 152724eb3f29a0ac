"""Found boxes: how many are right, and pictures of them."""

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
from archdsl.training.evaluation.boxes.box_pictures import MarkedBox, marked_frame
from archdsl.training.evaluation.boxes.box_precision import FoundFrame, box_precisions
from archdsl.training.evaluation.boxes.found_boxes import FoundBoxes
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.top_classes import minutes_seconds

LEAST_SHOWN = 0.3
"""Score of a box that is drawn."""


@dataclass(frozen=True)
class BoxScores(Results):
    """The boxes of every frame, found and true; figures are of all frames at once."""

    classes: tuple[str, ...]
    """The background first."""
    metric: str
    frames: tuple[FoundFrame, ...]

    @cached_property
    def by_class(self) -> dict[int, dict[str, float]]:
        """The figures of each class but the background; NaN where nothing of it is to be found."""
        return {label: box_precisions(self.frames, label, self.metric) for label in range(1, len(self.classes))}

    @property
    def figures(self) -> dict[str, float]:
        """The means over classes that there are: `map` (VID, VOC), or `ap`, `ap50` and `ap75` (COCO)."""
        known = [one for one in self.by_class.values() if all(x == x for x in one.values())]
        return {name: sum(one[name] for one in known) / len(known) for name in known[0]}

    def lines(self) -> Iterator[dict[str, Any]]:
        """For every frame its true boxes and those found, the best first."""
        for name, frame in zip(self.names, self.frames):
            true = [
                {"class": self.classes[label], "box": box}
                for label, box in zip(frame.true_labels.tolist(), frame.true_boxes.tolist())
            ]
            yield {
                "name": name,
                "true": true,
                "found": box_records(FoundBoxes(frame.boxes, frame.labels, frame.scores), self.classes),
            }

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """classes.csv."""
        labels = torch.cat([frame.true_labels[~frame.ignored] for frame in self.frames])
        counts = torch.bincount(labels, minlength=len(self.classes)).tolist()
        rows = tuple(
            {"class": self.classes[label], "boxes": counts[label]}
            | {name: value if value == value else None for name, value in figures.items()}
            for label, figures in self.by_class.items()
        )
        yield "classes.csv", records_csv(Table(title, (), (), rows))


def box_records(found: FoundBoxes, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Boxes as plain data."""
    return [
        {"class": classes[label], "score": score, "box": box} for box, label, score in zip(*(x.tolist() for x in found))
    ]


PERSON = "person"
"""The class whose boxes networks with given boxes read."""


class SeenFrame(NamedTuple):
    """A frame of a file, when it is, and what is found in it."""

    second: float
    frame: Tensor
    """(3, h, w) uint8, as the network saw it"""
    found: FoundBoxes
    """In pixels of what the network saw."""
    whole: Tensor
    """(n, 4) the boxes in pixels of the file"""


@dataclass(frozen=True)
class BoxPredictions(Prediction):
    """What is found in each frame of a file."""

    classes: tuple[str, ...]
    top: int
    """Boxes of a frame that the terminal shows at most."""
    size: tuple[int, int]
    """(height, width) of the file's frames"""
    frames: tuple[SeenFrame, ...]

    def record(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "width": self.size[1],
            "height": self.size[0],
            "frames": [
                {"second": one.second, "boxes": box_records(one.found._replace(boxes=one.whole), self.classes)}
                for one in self.frames
            ],
        }

    def text(self) -> str:
        lines = [str(self.path)]
        for one in self.frames:
            best = box_records(one.found, self.classes)[: self.top]
            said = ", ".join(f"{box['class']} {box['score']:.3f}" for box in best)
            lines.append(f"  {minutes_seconds(one.second)}  {said or 'nothing'}")
        return printable("\n".join(lines))

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Each frame with its boxes; where persons are found those of each second, as AVA's lists have them."""
        if rows := "".join(self.person_rows()):
            yield "boxes.csv", rows.encode()
        for i, one in enumerate(self.frames):
            marked = [
                MarkedBox((x1, y1, x2, y2), [f"{self.classes[label]} {score:.2f}"], label)
                for (x1, y1, x2, y2), label, score in zip(*(x.tolist() for x in one.found))
                if score >= LEAST_SHOWN
            ]
            yield f"{i:05d}.boxes.svg", marked_frame(one.frame, marked)

    def person_rows(self) -> Iterator[str]:
        """A line for each person in the frame that is nearest to each whole second."""
        height, width = self.size
        seconds = range(round(max(one.second for one in self.frames)) + 1) if PERSON in self.classes else range(0)
        for second in seconds:
            nearest = min(self.frames, key=lambda one: abs(one.second - second))
            found = zip(nearest.whole.tolist(), nearest.found.labels.tolist(), nearest.found.scores.tolist())
            for (x1, y1, x2, y2), label, score in found:
                if self.classes[label] == PERSON:
                    box = f"{x1 / width:.4f},{y1 / height:.4f},{x2 / width:.4f},{y2 / height:.4f}"
                    yield f"{self.path.stem},{second:04d},{box},,{score:.4f}\n"
