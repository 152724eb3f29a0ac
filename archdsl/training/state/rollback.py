"""`--resume CHECKPOINT`: the run is rolled back to it; later checkpoints and the log move to abandoned/."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.training.state.checkpoints import STATE, checkpoints_in, step_number
from archdsl.training.state.locks import exclusive_lock
from archdsl.training.state.records import LogEntry, read_records
from archdsl.training.state.run_folder import LOG

ABANDONED = "abandoned"
"""Folder of a run for checkpoints and logs that it no longer continues."""


def roll_back(run: Path, checkpoint: Path, step: int) -> Path | None:
    """Make a checkpoint the last one of a run. Returns the folder to which the rest moved, if there was any.

    A checkpoint of another folder is copied, with its log. Raises SpecError where that cannot be written.
    """
    own = checkpoints_in(run)
    inside = checkpoint.resolve() in [path.resolve() for path in own]
    rest = [path for path in own if not inside or step_number(path) > step]
    later = (run / LOG).exists() and (not inside or any(one.step > step for one in read_records(LogEntry, run / LOG)))
    try:
        aside = move_aside(run, rest, step) if rest or later else None
        if not inside:
            copy_checkpoint(run, checkpoint, step)
    except OSError as error:
        raise SpecError(f"cannot write {run}", got=error.strerror or str(error), fix="make room") from None
    return aside


def move_aside(run: Path, rest: list[Path], step: int) -> Path:
    """Move checkpoints and a copy of the log; the newest first, so that a crash leaves none of them to be resumed.

    Waits, for seconds, until nobody reads them.
    """
    names = (run / ABANDONED / f"after_step_{step:08d}{f'_{i}' if i else ''}" for i in count())
    aside = next(path for path in names if not path.exists())
    (aside / "checkpoints").mkdir(parents=True)
    if (run / LOG).exists():
        shutil.copyfile(run / LOG, aside / LOG)
    for path in reversed(rest):
        with exclusive_lock(path / STATE, wait=True):
            os.replace(path, aside / "checkpoints" / path.name)
    return aside


def copy_checkpoint(run: Path, checkpoint: Path, step: int) -> None:
    """Copy a checkpoint of another folder, and the log that led to it."""
    place = run / "checkpoints" / f"step_{step:08d}"
    partial = place.with_name(f".{place.name}")
    shutil.copytree(checkpoint, partial)
    log = checkpoint.parent.parent / LOG
    if log.is_file():
        shutil.copyfile(log, run / LOG)
    else:
        (run / LOG).unlink(missing_ok=True)
    partial.replace(place)
