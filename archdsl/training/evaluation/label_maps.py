"""Maps of classes: how well pixels are told apart, and pictures of them over their frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from archdsl.report.table.formats import records_csv
from archdsl.report.table.sheet import Table
from archdsl.training.data.picture_files import encode_png
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results

COLOUR_SHARE = 0.5
"""Of a class's colour over its pixel; the frame has the rest."""


def confusion_of(said: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Pixels of each true class, by what is said of them; labels beyond the classes do not count.

    (h, w), (h, w) -> (classes, classes)
    """
    counted = labels < classes
    places = labels[counted].long() * classes + said[counted].long()
    return torch.bincount(places, minlength=classes**2).view(classes, classes)


def ratios(parts: Tensor, wholes: Tensor) -> Tensor:
    """Their ratios, NaN where a whole is 0."""
    return parts.double() / wholes.double().masked_fill(wholes == 0, torch.nan)


@dataclass(frozen=True)
class PixelScores(Results):
    """Pixels of every frame, by true class and by what is said. Figures are of all frames at once."""

    classes: tuple[str, ...]
    pixels: Tensor
    """(n, classes, classes)"""

    @cached_property
    def confusion(self) -> Tensor:
        """Over all frames.  (classes, classes)"""
        return self.pixels.sum(0)

    @property
    def ious(self) -> Tensor:
        """Intersection over union of each class, NaN where it is neither there nor said.  (classes,)"""
        return iou_of(self.confusion)

    @property
    def accuracies(self) -> Tensor:
        """Share of each class's pixels that are right, NaN where it has none.  (classes,)"""
        return ratios(self.confusion.diagonal(), self.confusion.sum(1))

    @property
    def figures(self) -> dict[str, float]:
        """`miou`, `pixel_accuracy`, `mean_pixel_accuracy`: means leave out classes that are NaN (cityscapesScripts)."""
        right = self.confusion.diagonal().sum() / self.confusion.sum()
        return {
            "miou": float(self.ious.nanmean()),
            "pixel_accuracy": float(right),
            "mean_pixel_accuracy": float(self.accuracies.nanmean()),
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        """Without a figure where no pixel of a frame is labelled."""
        for name, pixels in zip(self.names, self.pixels):
            counted = int(pixels.sum())
            figures = {"miou": iou_of(pixels).nanmean(), "pixel_accuracy": pixels.diagonal().sum() / max(counted, 1)}
            shown = {key: float(value) if counted else None for key, value in figures.items()}
            yield {"name": name, "pixels": counted} | shown

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """classes.csv and confusion.csv, in pixels."""
        counts = self.confusion.sum(1).tolist()
        rows = zip(self.classes, counts, or_none(self.ious), or_none(self.accuracies))
        names = ("class", "pixels", "iou", "accuracy")
        yield "classes.csv", records_csv(Table(title, (), (), tuple(dict(zip(names, row)) for row in rows)))
        matrix = [dict(zip(self.classes, row)) for row in self.confusion.tolist()]
        records = tuple({"class": name} | row for name, row in zip(self.classes, matrix))
        yield "confusion.csv", records_csv(Table(title, (), (), records))


def iou_of(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, NaN where the union is empty.  (classes, classes) -> (classes,)"""
    right = confusion.diagonal()
    return ratios(right, confusion.sum(0) + confusion.sum(1) - right)


def or_none(values: Tensor) -> list[float | None]:
    """As plain data, None for NaN."""
    return [None if value != value else value for value in values.tolist()]


@dataclass(frozen=True)
class LabelMaps(Prediction):
    """The class of every pixel of all frames that were seen."""

    classes: tuple[str, ...]
    top: int
    """Classes that are listed at most."""
    maps: Tensor
    """(frames, h, w) uint8"""
    frames: Tensor
    """(3, frames, h, w) uint8"""

    @property
    def shares(self) -> list[tuple[str, float]]:
        """The classes with the most pixels, and their share of all."""
        counts = torch.bincount(self.maps.flatten().int(), minlength=len(self.classes))
        found = [
            (self.classes[i], int(counts[i]) / self.maps.numel()) for i in counts.argsort(descending=True).tolist()
        ]
        return [one for one in found if one[1]][: self.top]

    def record(self) -> dict[str, Any]:
        shares = [{"class": name, "share": share} for name, share in self.shares]
        frames, height, width = self.maps.shape
        return {"path": str(self.path), "frames": frames, "height": height, "width": width, "shares": shares}

    def text(self) -> str:
        return "\n".join([str(self.path), *(f"  {share:7.1%}  {name}" for name, share in self.shares)])

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Each frame under the colours of its classes."""
        colours = torch.tensor([class_colour(i) for i in range(len(self.classes))])
        digits = len(str(len(self.maps)))
        for i, (classes, frame) in enumerate(zip(self.maps, self.frames.unbind(1)), 1):
            colour = colours[classes.long()].permute(2, 0, 1)
            mixed = frame * (1 - COLOUR_SHARE) + colour * COLOUR_SHARE
            yield f"{i:0{digits}}.png", encode_png(mixed.round().to(torch.uint8))


def class_colour(number: int) -> tuple[int, int, int]:
    """A colour for a class, black for the first: its bits in turn to red, green and blue, from the highest down."""
    parts = [0, 0, 0]
    for bit in range(8):
        parts[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return parts[0], parts[1], parts[2]
