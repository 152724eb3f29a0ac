"""Videos that could not be read: told once each, also by runs that go on; counted, and too many of them end a run."""

from __future__ import annotations

from pathlib import Path

from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.files import append_line, is_regular, json_text, read_bytes, writing
from archdsl.training.data.clips import Unreadable
from archdsl.training.state.records import Skipped

FEW = 3
"""So many unreadable videos never end a run: a share of a handful says nothing."""


LARGEST = 1 << 28
"""Bytes of a file of skipped videos."""


class Skips:
    """Unreadable videos of one process; in a run's folder they are named in `skipped.jsonl`."""

    def __init__(self, folder: Path | None = None, most: float = 1.0, rank: int = 0, split: str = "train") -> None:
        self.path = folder and folder / ("skipped.jsonl" if rank == 0 else f"skipped.{rank}.jsonl")
        self.most = most
        self.split = split
        self.names: dict[str, str] = {}
        """Name -> why."""
        self.lost: dict[int, str] = {}
        """Videos, by index, at which readers died twice, and how: they are not read again."""
        self.clips = 0
        """How many clips were missing, a video more than once in more epochs."""

    @classmethod
    def of(cls, folder: Path, recipe: Recipe, rank: int = 0, split: str = "train") -> Skips:
        """Those of a run, which ends above the recipe's share."""
        return cls(folder, recipe.most_skipped, rank, split)

    def add(self, missing: Unreadable, count: int) -> None:
        """One more. Raises SpecError where these are too many of `count` videos."""
        self.clips += 1
        if missing.name in self.names:
            return
        self.names[missing.name] = missing.reason
        if self.path:
            note(self.path, json_text(Skipped(name=missing.name, reason=missing.reason, split=self.split).model_dump()))
        if len(self.names) > max(FEW, self.most * count):
            last = list(self.names.items())[-3:]
            raise SpecError(
                "too many videos that cannot be read",
                got=f"{len(self.names)} of {count}: " + "; ".join(f"{name}: {reason}" for name, reason in last),
                want=f"at most {self.most:.0%} of them",
                fix="archdsl data check names them all; or a larger recipe.most_skipped",
            )

    def __str__(self) -> str:
        """The totals, for the end of a run; empty where nothing was missing."""
        if not self.names:
            return ""
        return f"{len(self.names)} videos could not be read ({self.clips} clips)" + (
            f": {self.path}" if self.path else ""
        )


def note(path: Path, line: str) -> None:
    """Add a line to a file, unless it or one of another process has it. Raises SpecError where that cannot be."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        others = [read_bytes(other, LARGEST) for other in path.parent.glob("skipped*.jsonl") if is_regular(other)]
        if not any(line.encode() in data.splitlines() for data in others):
            append_line(path, line)
