"""Predicted classes: the top ones of the whole video and of every time window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archdsl.errors import printable
from archdsl.report.drawing.svg import Canvas, cut_to_width, heat_class
from archdsl.training.evaluation.prediction import Prediction

ClassScores = list[tuple[str, float]]
TIMELINE_FONT = 11.0


class TimeWindow(NamedTuple):
    """A time window of a video, in seconds, and its top classes."""

    start: float
    end: float
    best: ClassScores


@dataclass(frozen=True)
class TopClasses(Prediction):
    """The top classes of one video."""

    best: ClassScores
    windows: tuple[TimeWindow, ...]

    def record(self) -> dict[str, Any]:
        windows = [{"start": w.start, "end": w.end, "best": class_records(w.best)} for w in self.windows]
        return {"path": str(self.path), "best": class_records(self.best), "windows": windows}

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Its windows along a time line."""
        yield "svg", timeline_svg(self.windows, printable(self.path.name)).encode()

    def text(self) -> str:
        lines = [str(self.path), *(f"  {score:7.3f}  {name}" for name, score in self.best)]
        for window in self.windows if len(self.windows) > 1 else ():
            name, score = window.best[0]
            lines.append(f"  {minutes_seconds(window.start)} to {minutes_seconds(window.end)}  {score:7.3f}  {name}")
        return "\n".join(lines)


def timeline_svg(windows: Sequence[TimeWindow], title: str) -> str:
    """The best class of every window along the video, darker the higher its score."""
    canvas, width, end = Canvas(), 640.0, max(window.end for window in windows) or 1.0
    canvas.text(12, 24, cut_to_width(title, 14, width), 14, "d-name")
    for i, window in enumerate(windows):
        name, score = window.best[0]
        left, right, top = (12 + width * window.start / end, 12 + width * window.end / end, 40.0 + 22 * i)
        canvas.rect(left, top, max(right - left, 2), 16, f"d-h{heat_class(max(0.0, min(score, 1.0)) / 2)}")
        words = f"{minutes_seconds(window.start)}  {name}  {score:.3f}"
        canvas.text(16, top + 12, cut_to_width(words, TIMELINE_FONT, width), TIMELINE_FONT)
    return canvas.document(width + 24, 48.0 + 22 * len(windows), title, 1.0)


def class_records(best: ClassScores) -> list[dict[str, Any]]:
    """Classes and scores as plain data."""
    return [{"class": name, "score": score} for name, score in best]


def minutes_seconds(seconds: float) -> str:
    """1:02.5"""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
