"""What is found along time: figures of all videos, and segments of one on a time line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archdsl.errors import printable
from archdsl.report.drawing.svg import Canvas, cut_to_width
from archdsl.report.table.formats import records_csv
from archdsl.report.table.sheet import Table
from archdsl.spec.files import json_text
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.segment_metrics import (
    ACTIVITYNET_OVERLAPS,
    THUMOS_OVERLAPS,
    AverageRecall,
    Detections,
    TrueSegments,
    activitynet_map,
    average_recall,
    thumos_map,
)

PROPOSAL_COUNTS = (1, 5, 10, 100)
"""Of proposals of a video, at which recall is given."""
TIME_LINE = (560.0, 22.0)
"""Width of the time line, and height of a row."""
NAMES_WIDTH = 200.0
LINE_FONT = 12.0


@dataclass(frozen=True)
class SegmentScores(Results):
    """What was found in each video, and what there is."""

    classes: tuple[str, ...]
    truth: Mapping[str, TrueSegments]
    found: Mapping[str, Detections]
    metric: str
    """thumos14, activitynet, or proposals: ActivityNet's task of these, without classes."""

    @cached_property
    def recall(self) -> AverageRecall:
        """Of proposals."""
        return average_recall(self.truth, self.found)

    @cached_property
    def precisions(self) -> dict[float, float]:
        """Overlap -> mean average precision."""
        if self.metric == "thumos14":
            return dict(zip(THUMOS_OVERLAPS, thumos_map(self.truth, self.found).tolist()))
        return dict(zip(ACTIVITYNET_OVERLAPS, activitynet_map(self.truth, self.found).tolist()))

    @property
    def figures(self) -> dict[str, float]:
        """`map`, the mean over overlaps, and `map_50`...; of proposals `auc` and `ar_1`, `ar_5`, `ar_10`, `ar_100`."""
        if self.metric == "proposals":
            return {"auc": self.recall.area} | {f"ar_{n}": self.recall.at(n) for n in PROPOSAL_COUNTS}
        mean = sum(self.precisions.values()) / len(self.precisions)
        return {"map": mean} | {f"map_{round(100 * overlap)}": value for overlap, value in self.precisions.items()}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name in self.names:
            one = self.truth[name]
            there = [
                {"start": start, "end": end, "class": self.classes[label]}
                for (start, end), label in zip(one.segments.tolist(), one.labels.tolist())
            ]
            found = segment_records(self.found[name], self.classes, self.metric)
            yield {"name": name, "segments": there, "found": found}

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """The challenge's own file, and its curve or its precisions as a table."""
        if self.metric == "thumos14":
            rows = [
                f"{name} {start:.2f} {end:.2f} {label} {score:.5f}"
                for name, one in self.found.items()
                for (start, end), label, score in zip(one.segments.tolist(), one.labels.tolist(), one.scores.tolist())
            ]
            yield "detections.txt", "".join(f"{row}\n" for row in rows)
        else:
            results = {
                name.removeprefix("v_"): [
                    {"score": row["score"], "segment": [row["start"], row["end"]]}
                    | ({"label": row["class"]} if "class" in row else {})
                    for row in segment_records(one, self.classes, self.metric)
                ]
                for name, one in self.found.items()
            }
            made = {"version": "VERSION 1.3", "results": results, "external_data": {}}
            yield "detections.json", json_text(made) + "\n"
        if self.metric == "proposals":
            curve = zip(self.recall.proposals.tolist(), self.recall.recalls.tolist())
            records = tuple({"proposals": number, "recall": value} for number, value in curve)
        else:
            records = tuple({"overlap": overlap, "map": value} for overlap, value in self.precisions.items())
        yield "curve.csv", records_csv(Table(title, (), (), records))


def segment_records(found: Detections, classes: tuple[str, ...], metric: str) -> list[dict[str, Any]]:
    """Detections as plain data, the best first."""
    one = found.by_score()
    rows = zip(one.segments.tolist(), one.scores.tolist(), one.labels.tolist())
    return [
        {"start": start, "end": end, "score": score} | ({} if metric == "proposals" else {"class": classes[label]})
        for (start, end), score, label in rows
    ]


@dataclass(frozen=True)
class SegmentTimes(Prediction):
    """What happens when in one video."""

    classes: tuple[str, ...]
    top: int
    """Segments that are shown at most."""
    duration: float
    found: Detections
    seconds: bool
    """Whether times are in seconds; else they are shares of the whole."""
    columns: Mapping[str, list[float]] | None = None
    """What another network reads of each position, by name (BSN)."""

    @property
    def best(self) -> list[dict[str, Any]]:
        """The best segments."""
        return segment_records(self.found, self.classes, "classes")[: self.top]

    def record(self) -> dict[str, Any]:
        unit = "seconds" if self.seconds else "shares"
        return {"path": str(self.path), "unit": unit, "duration": self.duration, "segments": self.best}

    def text(self) -> str:
        rows = (f"  {self.times(one)}  {one['score']:.3f}  {one['class']}" for one in self.best)
        return "\n".join([str(self.path), *map(printable, rows)])

    def times(self, one: Mapping[str, float]) -> str:
        """From when to when."""
        if self.seconds:
            return f"{one['start']:8.1f} to {one['end']:8.1f} s"
        return f"{one['start']:7.1%} to {one['end']:7.1%}"

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """A row for each segment on the line of time, the best on top; the more certain, the thicker."""
        canvas, (width, height) = Canvas(), TIME_LINE
        whole = NAMES_WIDTH + width + 24
        canvas.text(12, 20, cut_to_width(self.path.name, 14, whole - 24), 14, "d-name")
        most = max((one["score"] for one in self.best), default=1.0) or 1.0
        for i, one in enumerate(self.best):
            top = 36 + i * height
            words = f"{self.times(one).strip()}  {one['class']}"
            canvas.text(12, top + 12, cut_to_width(words, LINE_FONT, NAMES_WIDTH - 24), LINE_FONT, "d-soft")
            canvas.rect(NAMES_WIDTH, top, width, height - 6, "d-panel", 0)
            left, right = (NAMES_WIDTH + width * one[end] / max(self.duration, 1e-9) for end in ("start", "end"))
            thick = (height - 8) * (0.25 + 0.75 * one["score"] / most)
            canvas.rect(left, top + (height - 6 - thick) / 2, max(right - left, 1), thick, "d-dot", 1)
        if self.columns:
            rows = [",".join(f"{number:.6g}" for number in row) for row in zip(*self.columns.values())]
            yield "csv", "\n".join([",".join(self.columns), *rows, ""]).encode()
        yield "svg", canvas.document(whole, 48 + len(self.best) * height, self.path.name, 1.0).encode()
