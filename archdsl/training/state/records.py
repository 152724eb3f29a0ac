"""What a run writes beside its tensors, and reads again: one model for each file, and one way to read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archdsl.errors import SpecError
from archdsl.spec.files import read_bytes

LARGEST = 1 << 28
"""Bytes of a file; the log of 100,000 entries has 15 MB."""
Whole = Annotated[int, Field(ge=0)]
Figures = Annotated[dict[str, float], Field(min_length=1)]


class Record(BaseModel):
    """Base of the models. What a later version writes beside them is passed over."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Listed(Record):
    """The videos of a split, as far as a run depends on them."""

    classes: list[str]
    """In the order of labels."""
    counts: list[Whole]
    """Videos of each class; none where only reading them tells."""
    videos: Whole
    digest: str
    """Of the names and labels of all videos, in their order."""


class Identity(Record):
    """What a checkpoint must agree on to be gone on from."""

    arch: dict[str, Any] | None
    """None where it has blocks of its own in Python, which have no YAML form."""
    source: str
    """SHA-256 of the emitted code."""
    recipe: dict[str, Any]
    data: dict[str, Listed] | None = None
    """`train` and `val`; None in what earlier versions wrote."""


class Scaler(Record):
    """The state of torch's GradScaler."""

    scale: Annotated[float, Field(gt=0)]
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    growth_tracker: int = Field(alias="_growth_tracker")


class Best(Record):
    """The best evaluation so far."""

    step: Whole
    figures: Figures


class Origin(Record):
    """The weights that a run began with."""

    path: str
    not_taken: dict[str, str]
    """Address in the head -> why its weights were not taken."""


class Facts(Identity):
    """state.json of a checkpoint."""

    step: Whole
    scaler: Scaler | Annotated[dict[str, None], Field(max_length=0)]
    """Empty where the precision needs none."""
    best: Best | None
    figures: dict[str, float]
    """Of the last evaluation."""
    weights: Origin | None = None
    files: dict[str, str] = {}
    """Name -> SHA-256 of every other file of the checkpoint."""


class About(Record):
    """run.json, as far as it is read again."""

    model_config = ConfigDict(extra="allow")

    classes: Annotated[list[str], Field(min_length=1)]
    data: str | None = None
    """What it trained on, as `--data` takes it; None where Python handed over videos."""


class Entry(Record):
    """A line of metrics.jsonl: the figures of a step."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    step: Whole


class Skipped(Record):
    """A line of skipped.jsonl: a video that could not be read, and why."""

    name: str
    reason: str
    split: str = ""
    """`train`, or the one that was tested; empty in what earlier versions wrote."""


R = TypeVar("R", bound=Record)


def parsed(data: bytes | str) -> Any:
    """JSON as plain data. Raises ValueError for all that is none."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("values nested too deeply") from None


def read_record(kind: type[R], path: Path) -> R:
    """A file that holds one record. Raises SpecError where it does not."""
    try:
        return made(kind, parsed(read_bytes(path, LARGEST)))
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise unfit(path.name, str(path), error, "archdsl train, which writes it anew") from None


def read_records(kind: type[R], path: Path) -> Iterator[R]:
    """A file of one record a line; none where there is no file. A last line that a killed process cut is passed over.

    Raises SpecError for every other line that holds none.
    """
    lines = read_bytes(path, LARGEST).split(b"\n") if path.exists() else []
    for i, line in enumerate(lines):
        try:
            if line or i + 1 < len(lines):
                yield made(kind, parsed(line))
        except ValueError as error:
            if i + 1 < len(lines):
                raise unfit(path.name, f"{path}:{i + 1}", error, "remove the line") from None


def made(kind: type[R], data: Any) -> R:
    """Plain data as a record. Raises ValueError with the first thing that is wrong."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise ValueError(f"{at}: {first['msg']}" if at else first["msg"]) from None
    except RecursionError:
        raise ValueError("values nested too deeply") from None


def unfit(name: str, written: str, error: ValueError, fix: str) -> SpecError:
    """The error of a file that holds something else."""
    got, want = str(error)[:160], "what a run wrote"
    return SpecError(f"{name} that cannot be read", written=written, got=got, want=want, fix=fix)
