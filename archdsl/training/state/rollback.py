"""A checkpoint that a person named becomes the one from which its run goes on; what did not lead to it is set aside."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.training.state.checkpoints import STATE, checkpoints_in, step_of
from archdsl.training.state.locks import alone
from archdsl.training.state.records import Entry, read_records
from archdsl.training.state.run_folder import LOG

ASIDE = "abandoned"
"""The folder of a run that holds checkpoints and logs which it did not go on from."""


def adopt(run: Path, checkpoint: Path, step: int) -> Path | None:
    """Make a checkpoint the last of a run's folder. Gives the folder in which the rest is kept, if there is any.

    A checkpoint of another folder is copied, with its log. Raises SpecError where the disk does not take that.
    """
    own = checkpoints_in(run)
    inside = checkpoint.resolve() in [path.resolve() for path in own]
    rest = [path for path in own if not inside or step_of(path) > step]
    later = (run / LOG).exists() and (not inside or any(one.step > step for one in read_records(Entry, run / LOG)))
    try:
        aside = set_aside(run, rest, step) if rest or later else None
        if not inside:
            bring(run, checkpoint, step)
    except OSError as error:
        raise SpecError(f"cannot write {run}", got=error.strerror or str(error), fix="make room") from None
    return aside


def set_aside(run: Path, rest: list[Path], step: int) -> Path:
    """Move checkpoints, and a copy of the log, out of the way; the newest first, so that none is gone on from.

    Who reads one of them is waited for: that takes seconds.
    """
    names = (run / ASIDE / f"after_step_{step:08d}{f'_{i}' if i else ''}" for i in count())
    aside = next(path for path in names if not path.exists())
    (aside / "checkpoints").mkdir(parents=True)
    if (run / LOG).exists():
        shutil.copyfile(run / LOG, aside / LOG)
    for path in reversed(rest):
        with alone(path / STATE, wait=True):
            os.replace(path, aside / "checkpoints" / path.name)
    return aside


def bring(run: Path, checkpoint: Path, step: int) -> None:
    """Copy a checkpoint of another folder, and the log that led to it."""
    place = run / "checkpoints" / f"step_{step:08d}"
    beside = place.with_name(f".{place.name}")
    shutil.copytree(checkpoint, beside)
    log = checkpoint.parent.parent / LOG
    if log.is_file():
        shutil.copyfile(log, run / LOG)
    else:
        (run / LOG).unlink(missing_ok=True)
    beside.replace(place)
