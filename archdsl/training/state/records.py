"""Models of the files that a run writes beside its tensors, and one way to read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archdsl.errors import SpecError
from archdsl.spec.files import read_bytes

MAX_RECORD_BYTES = 1 << 28
"""Bytes of a file; the log of 100,000 entries has 15 MB."""
NonNegativeInt = Annotated[int, Field(ge=0)]
Figures = Annotated[dict[str, float], Field(min_length=1)]


class Record(BaseModel):
    """Base of the models. Unknown fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class VideoSummary(Record):
    """Classes, counts and digest of the videos of a split."""

    classes: list[str]
    """In the order of labels."""
    counts: list[NonNegativeInt]
    """Videos per class; empty where labels are known only after reading."""
    videos: NonNegativeInt
    digest: str
    """Of the names and labels of all videos, in their order."""


class Identity(Record):
    """What a checkpoint must match to be resumed."""

    arch: dict[str, Any] | None
    """None where it has blocks of its own in Python, which have no YAML form."""
    source: str
    """SHA-256 of the emitted code."""
    recipe: dict[str, Any]
    data: dict[str, VideoSummary] | None = None
    """`train` and `val`; None in what earlier versions wrote."""


class Scaler(Record):
    """The state of torch's GradScaler."""

    scale: Annotated[float, Field(gt=0)]
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    growth_tracker: int = Field(alias="_growth_tracker")


class BestEvaluation(Record):
    """The best evaluation so far."""

    step: NonNegativeInt
    figures: Figures


class WeightsOrigin(Record):
    """The initial weights of a run."""

    path: str
    not_taken: dict[str, str]
    """Address in the head -> why its weights were not loaded."""
    adapted: dict[str, str] = {}
    """Address -> how its weights were fitted to the network."""


class LoweredFrom(Record):
    """The passes that a network was trained with from a step on."""

    step: NonNegativeInt
    device: str
    """Such as cpu: passes are chosen for a type of device."""
    passes: Mapping[str, bool | Mapping[str, int]]


class CheckpointFacts(Identity):
    """state.json of a checkpoint."""

    step: NonNegativeInt
    scaler: Scaler | Annotated[dict[str, None], Field(max_length=0)]
    """Empty unless the precision is fp16."""
    best: BestEvaluation | None
    figures: dict[str, float]
    """Of the last evaluation."""
    weights: WeightsOrigin | None = None
    lowered: list[LoweredFrom] = []
    """The last is current; empty in what earlier versions wrote, which trained the literal network."""
    files: dict[str, str] = {}
    """Name -> SHA-256 of every other file of the checkpoint."""


class RunInfo(Record):
    """run.json, as far as it is read again."""

    model_config = ConfigDict(extra="allow")

    classes: list[str]
    """In the order of labels; none of a task without classes."""
    data: str | None = None
    """The argument of `--data`; None for a Python object."""


class LogEntry(Record):
    """A line of metrics.jsonl: the metrics of a step."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    step: NonNegativeInt


class SkippedVideo(Record):
    """A line of skipped.jsonl: an unreadable video, and why."""

    name: str
    reason: str
    split: str = ""
    """`train`, or the one that was tested; empty in what earlier versions wrote."""


R = TypeVar("R", bound=Record)


def parse_json(data: bytes | str) -> Any:
    """Parse JSON. Raises ValueError for anything else."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("values nested too deeply") from None


def read_record(kind: type[R], path: Path) -> R:
    """Read a file of one record. Raises SpecError for an invalid one."""
    try:
        return validated(kind, parse_json(read_bytes(path, MAX_RECORD_BYTES)))
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise invalid_record(path.name, str(path), error, "archdsl train ..., which rewrites it") from None


def read_records(kind: type[R], path: Path) -> Iterator[R]:
    """Read a file of one record per line; none where it is missing. A truncated last line is ignored.

    Raises SpecError for any other invalid line.
    """
    lines = read_bytes(path, MAX_RECORD_BYTES).split(b"\n") if path.exists() else []
    for i, line in enumerate(lines):
        try:
            if line or i + 1 < len(lines):
                yield validated(kind, parse_json(line))
        except ValueError as error:
            if i + 1 < len(lines):
                raise invalid_record(path.name, f"{path}:{i + 1}", error, "remove the line") from None


def validated(kind: type[R], data: Any) -> R:
    """Plain data as a record. Raises ValueError with the first error."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise ValueError(f"{at}: {first['msg']}" if at else first["msg"]) from None
    except RecursionError:
        raise ValueError("values nested too deeply") from None


def invalid_record(name: str, written: str, error: ValueError, fix: str) -> SpecError:
    """The error of an invalid file."""
    got, want = str(error)[:160], "the file as the run wrote it"
    return SpecError(f"cannot read {name}", written=written, got=got, want=want, fix=fix)
