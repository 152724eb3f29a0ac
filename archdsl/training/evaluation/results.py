"""What an evaluation gives, whatever the task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Results(ABC):
    """The results of all videos that were read, in the order of the list."""

    names: tuple[str, ...]
    skipped: tuple[str, ...] = field(default=(), kw_only=True)
    """Unreadable videos, which no metric counts."""
    tested: str = field(default="", kw_only=True)
    """Which checkpoint of a run was tested; empty for other weights."""
    data: str = field(default="", kw_only=True)
    """The argument of `--data`; empty for a Python object."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """The metrics; the first tells which of two evaluations is better."""

    @abstractmethod
    def lines(self) -> Iterator[dict[str, Any]]:
        """For every video its truth and its prediction, as plain data."""

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """(name, text) of tables and pictures."""
        yield from ()

    def in_columns(self, columns: Mapping[str, int]) -> Self:
        """The results with classes reordered: class name -> its place among the run's."""
        return self
