"""Predicted classes: the top ones of the whole video and of every time window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from archdsl.training.evaluation.prediction import Prediction

ClassScores = list[tuple[str, float]]


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

    def text(self) -> str:
        lines = [str(self.path), *(f"  {score:7.3f}  {name}" for name, score in self.best)]
        for window in self.windows if len(self.windows) > 1 else ():
            name, score = window.best[0]
            lines.append(f"  {minutes_seconds(window.start)} to {minutes_seconds(window.end)}  {score:7.3f}  {name}")
        return "\n".join(lines)


def class_records(best: ClassScores) -> list[dict[str, Any]]:
    """Classes and scores as plain data."""
    return [{"class": name, "score": score} for name, score in best]


def minutes_seconds(seconds: float) -> str:
    """1:02.5"""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
