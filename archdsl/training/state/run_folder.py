"""The folder of a run: its spec, recipe, versions, log, and checkpoints.

arch.yaml recipe.yaml network.py run.json metrics.jsonl curves.svg skipped.jsonl
tensorboard/ checkpoints/ abandoned/ .lock
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydantic
import torch

from archdsl import __version__
from archdsl.backend import emit
from archdsl.catalog import ARCH_FILE
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import arch_to_data, recipe_yaml, to_yaml
from archdsl.report.curves import curves_svg
from archdsl.spec.files import append_line, json_text, write_whole
from archdsl.training.log.tensorboard import EventFile
from archdsl.training.processes import World, fail_together
from archdsl.training.state.records import LogEntry, RunInfo, read_records

LOG = "metrics.jsonl"


class RunFolder:
    """A run's folder. Only the first process writes; a full disk ends all processes."""

    def __init__(self, path: Path, world: World) -> None:
        self.path, self.world = path, world
        self.board: EventFile | None = None

    @contextmanager
    def one_writer(self) -> Iterator[bool]:
        """Yields whether this process writes. Raises SpecError in all processes where writing fails."""
        with fail_together():
            try:
                yield self.world.first
            except OSError as error:
                raise SpecError(
                    f"cannot write {error.filename or self.path}",
                    got=error.strerror or str(error),
                    want="room in the run's folder",
                    fix="make room; the same command then resumes from the last checkpoint",
                ) from None

    def describe(self, plan: Plan, recipe: Recipe, about: RunInfo) -> None:
        """Write what is trained, how, and with what."""
        with self.one_writer() as first:
            if first:
                if arch_data(plan) is not None:
                    write_whole(self.path / ARCH_FILE, to_yaml(plan.arch))
                write_whole(self.path / "network.py", emit(plan))
                write_whole(self.path / "recipe.yaml", recipe_yaml(recipe))
                write_whole(self.path / "run.json", json_text(about.model_dump() | versions(), indent=2) + "\n")

    def truncate_log(self, step: int) -> None:
        """Drop log entries after a step: those steps are repeated."""
        with self.one_writer() as first:
            if first:
                kept = [entry for entry in read_records(LogEntry, self.path / LOG) if entry.step <= step]
                write_whole(self.path / LOG, "".join(f"{json_text(entry.model_dump())}\n" for entry in kept))
                self.board = EventFile(self.path / "tensorboard", step + 1)

    def log(self, entry: LogEntry) -> None:
        """Add an entry to the log."""
        with self.one_writer() as first:
            if first:
                assert self.board is not None
                append_line(self.path / LOG, json_text(entry.model_dump()))
                figures = {k: v for k, v in entry.model_dump().items() if k not in ("step", "epoch")}
                self.board.add(figures, entry.step)

    def draw_curves(self, title: str) -> None:
        """Write the log as curves.svg."""
        with self.one_writer() as first:
            if first:
                entries = [entry.model_dump() for entry in read_records(LogEntry, self.path / LOG)]
                write_whole(self.path / "curves.svg", curves_svg(entries, title))


def arch_data(plan: Plan) -> dict[str, Any] | None:
    """The arch as plain data; None where it has Python blocks, which have no YAML form."""
    try:
        return arch_to_data(plan.arch)
    except SpecError:
        return None


def versions() -> dict[str, Any]:
    """Versions of software, and the state of the working tree."""
    return {
        "command": sys.argv,
        "archdsl": __version__,
        "git": git_state(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pydantic": pydantic.VERSION,
        "platform": platform.platform(),
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def git_state() -> dict[str, Any] | None:
    """Commit of the current folder's repository and its changed files; None without one."""
    output = [command_output("git", "rev-parse", "HEAD"), command_output("git", "status", "--porcelain")]
    return None if output[0] is None else {"commit": output[0], "changed": (output[1] or "").splitlines()}


def command_output(*command: str) -> str | None:
    """Output of a program; None where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
