"""The folder of a run: its spec, recipe, versions, log, and checkpoints.

arch.yaml recipe.yaml network.py run.json metrics.jsonl skipped.jsonl tensorboard/ checkpoints/
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydantic
import torch
from torch.utils.tensorboard import SummaryWriter

from archdsl import __version__
from archdsl.backend import emit
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.files import json_text, make_folder, write_whole
from archdsl.language.recipe import Recipe
from archdsl.training.world import World
from archdsl.writing import data_of, recipe_data, recipe_yaml, to_yaml


class Folder:
    """A run's folder. Only the first process writes."""

    def __init__(self, path: Path, world: World) -> None:
        self.path, self.world = path, world
        self.board: SummaryWriter | None = None
        if world.first:
            make_folder(path)

    def describe(self, plan: Plan, recipe: Recipe, about: dict[str, Any]) -> None:
        """Write what is trained, how, and with what."""
        if not self.world.first:
            return
        if arch_data(plan) is not None:
            write_whole(self.path / "arch.yaml", to_yaml(plan.arch))
        write_whole(self.path / "network.py", emit(plan))
        write_whole(self.path / "recipe.yaml", recipe_yaml(recipe))
        write_whole(self.path / "run.json", json_text(about | versions(), indent=2) + "\n")

    def begin_log(self, step: int) -> None:
        """Forget what was logged after a step: it will be done again."""
        if not self.world.first:
            return
        path = self.path / "metrics.jsonl"
        kept = [entry for entry in entries_in(path) if entry["step"] <= step]
        write_whole(path, "".join(f"{json_text(entry)}\n" for entry in kept))
        self.board = SummaryWriter(str(self.path / "tensorboard"), purge_step=step + 1)

    def log(self, entry: dict[str, Any]) -> None:
        """Add an entry to the log."""
        if not self.world.first or self.board is None:
            return
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{json_text(entry)}\n")
        for name, value in entry.items():
            if isinstance(value, int | float) and name not in ("step", "epoch"):
                self.board.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        """Nothing more is logged."""
        if self.board:
            self.board.close()


def entries_in(path: Path) -> list[dict[str, Any]]:
    """Entries of a log. A last line that a killed process left unfinished is passed over."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def arch_data(plan: Plan) -> dict[str, Any] | None:
    """The arch as plain data; None where it has blocks of its own in Python, which have no YAML form."""
    try:
        return data_of(plan.arch)
    except SpecError:
        return None


def identity(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint must agree on to be gone on from: the arch, the emitted code, the recipe."""
    source = sha256(emit(plan).encode()).hexdigest()
    return {"arch": arch_data(plan), "source": source, "recipe": recipe_data(recipe)}


def versions() -> dict[str, Any]:
    """Versions of what ran, and the state of the working tree."""
    return {
        "command": sys.argv,
        "archdsl": __version__,
        "git": git(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pydantic": pydantic.VERSION,
        "platform": platform.platform(),
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def git() -> dict[str, Any] | None:
    """Commit of the current folder's repository and its changed files; None without one."""
    said = [told("git", "rev-parse", "HEAD"), told("git", "status", "--porcelain")]
    return None if said[0] is None else {"commit": said[0], "changed": (said[1] or "").splitlines()}


def told(*command: str) -> str | None:
    """What a program says; None where it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
