"""What a network says of one video."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from archdsl.training.data.clips import Batch


class ViewOutput(NamedTuple):
    """One view of a video: the clip that the network saw, when, and what it said."""

    clips: Any
    """(c, t, h, w) normalised, or a map by clip name."""
    start: float
    end: float
    said: Any
    """As the task's `said` gives it."""


def view_outputs(batch: Batch, said: Sequence[Any]) -> Iterator[ViewOutput]:
    """The views of a batch."""
    for row, (start, end) in enumerate(zip(batch.starts, batch.ends)):
        clips = batch.clips
        seen = clips[row].cpu() if isinstance(clips, Tensor) else {name: x[row].cpu() for name, x in clips.items()}
        yield ViewOutput(seen, start, end, said[row])


@dataclass(frozen=True)
class Prediction(ABC):
    """The prediction for one video."""

    path: Path

    @property
    def unreadable(self) -> str | None:
        """Why the video could not be read."""
        return None

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """As plain data."""

    @abstractmethod
    def text(self) -> str:
        """As lines for a terminal."""

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """(ending of the file's name, bytes) of pictures and videos that show it."""
        yield from ()


@dataclass(frozen=True)
class NoPrediction(Prediction):
    """A video that could not be read."""

    reason: str

    @property
    def unreadable(self) -> str:
        return self.reason

    def record(self) -> dict[str, Any]:
        return {"path": str(self.path), "unreadable": self.reason}

    def text(self) -> str:
        return f"{self.path} cannot be read: {self.reason}"
