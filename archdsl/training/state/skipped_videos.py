"""Unreadable videos: logged once each, also across resumed runs; too many of them end a run."""

from __future__ import annotations

from pathlib import Path

from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.files import append_line, is_regular, json_text, naming_write_errors, read_bytes
from archdsl.training.data.clips import Unreadable
from archdsl.training.state.records import SkippedVideo

ALWAYS_ALLOWED = 3
"""This many unreadable videos never end a run: a share of a few videos means nothing."""


MAX_SKIPPED_BYTES = 1 << 28
"""Bytes of a file of skipped videos."""


class SkippedVideos:
    """Unreadable videos of one process; in a run's folder they are named in `skipped.jsonl`."""

    def __init__(self, folder: Path | None = None, max_share: float = 1.0, rank: int = 0, split: str = "train") -> None:
        self.path = folder and folder / ("skipped.jsonl" if rank == 0 else f"skipped.{rank}.jsonl")
        self.max_share = max_share
        self.split = split
        self.names: dict[str, str] = {}
        """Name -> why."""
        self.given_up: dict[int, str] = {}
        """Index -> how workers crashed at the video, which is not read again."""
        self.clips = 0
        """Clips missed; a video counts once per read."""

    @classmethod
    def for_run(cls, folder: Path, recipe: Recipe, rank: int = 0, split: str = "train") -> SkippedVideos:
        """For a run, which ends above the recipe's `most_skipped`."""
        return cls(folder, recipe.most_skipped, rank, split)

    def add(self, missing: Unreadable, count: int) -> None:
        """Count an unreadable video. Raises SpecError where these are too many of `count` videos."""
        self.clips += 1
        if missing.name in self.names:
            return
        self.names[missing.name] = missing.reason
        if self.path:
            append_once(
                self.path,
                json_text(SkippedVideo(name=missing.name, reason=missing.reason, split=self.split).model_dump()),
            )
        if len(self.names) > max(ALWAYS_ALLOWED, self.max_share * count):
            last = list(self.names.items())[-3:]
            raise SpecError(
                "too many unreadable videos",
                got=f"{len(self.names)} of {count}: " + "; ".join(f"{name}: {reason}" for name, reason in last),
                want=f"at most {self.max_share:.0%} of them",
                fix="`archdsl data check` lists them all; or raise recipe.most_skipped",
            )

    def __str__(self) -> str:
        """The totals, for the end of a run; empty where all videos were read."""
        if not self.names:
            return ""
        return f"{len(self.names)} videos could not be read ({self.clips} clips)" + (
            f": {self.path}" if self.path else ""
        )


def append_once(path: Path, line: str) -> None:
    """Append a line to a file unless it, or another process's file, has it. Raises SpecError where writing fails."""
    with naming_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        others = [
            read_bytes(other, MAX_SKIPPED_BYTES) for other in path.parent.glob("skipped*.jsonl") if is_regular(other)
        ]
        if not any(line.encode() in data.splitlines() for data in others):
            append_line(path, line)
