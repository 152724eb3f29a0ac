"""What a person's own code raises within a block, a transform or a head, told as a fault of the line that raised it."""

from __future__ import annotations

import dataclasses
import re
from traceback import extract_tb
from types import ModuleType
from typing import Any

from archdsl import ops
from archdsl.errors import MOST_LISTED, Fault, SpecError, did_you_mean, listed
from archdsl.spec.base import Written
from archdsl.spec.lines import line_of_frame

UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
MISSING = re.compile(r"(\w+)\.__init__\(\) missing \d+ required keyword-only arguments?: '(\w+)'")
DATACLASS = "@dataclass(frozen=True, kw_only=True) over its class"
POSITIONAL = re.compile(r"(\w+)\.__init__\(\) takes 1 positional argument but")


def fault_of(error: Exception, kind: str) -> Fault | None:
    """An exception in the build of `kind` as a fault of the line that raised it; None where no line is a person's."""
    line = line_within(error)
    if line is None:
        return None
    what = f"{type(error).__name__} in build of {kind}"
    fault = fault_of_fields(str(error)) or fault_of_name(error) or Fault(what=what, got=str(error) or None)
    return fault.placed(None, line)


def line_within(error: Exception) -> str | None:
    """`file:line` of the last line of a person's that an exception came through; None where there is none."""
    frames = extract_tb(error.__traceback__)
    lines = (line_of_frame(frame.filename, frame.lineno or 0) for frame in reversed(frames))
    return next((line for line in lines if line), None)


def fault_of_fields(text: str) -> Fault | None:
    """Fields that an op does not have, or lacks, as Python tells of them."""
    if match := UNEXPECTED.search(text):
        op, name = match.groups()
        if op == "Op":
            return Fault(what="an op class that is not a dataclass", got=f"a field {name!r}", want=DATACLASS)
        known = op_fields(op)
        want, near = listed(known) or None, did_you_mean(name, known)
        return Fault(what=f"unknown field {name!r} of {op}", got=name, want=want, fix=near)
    if match := MISSING.search(text):
        op, name = match.groups()
        return Fault(what=f"missing field {name!r} of {op}", want=f"{op}({name}=...)")
    if match := POSITIONAL.search(text):
        first = next(iter(op_fields(match[1])), "name")
        return Fault(what=f"positional arguments for {match[1]}", want=f"{match[1]}({first}=...)")
    return None


def fault_of_name(error: Exception) -> Fault | None:
    """A name that is misspelt, or stands without `ops.`."""
    if isinstance(error, NameError) and error.name and hasattr(ops, error.name):
        return Fault(
            what=f"no name {error.name!r}", got=error.name, want="an op by its whole name", fix=f"ops.{error.name}"
        )
    if isinstance(error, AttributeError) and error.name:
        known = [name for name in attribute_names(error.obj) if not name.startswith("_")]
        of = error.obj.__name__ if isinstance(error.obj, ModuleType) else type(error.obj).__name__
        near = did_you_mean(error.name, known)
        want = (listed(known) or "no fields") if len(known) <= MOST_LISTED else None
        return Fault(what=f"{of} has no {error.name!r}", got=error.name, want=want, fix=near)
    return None


def error_of_fractions(op: Any) -> SpecError | None:
    """The error of an op with a fraction where a number is whole; None where there is none."""
    for field in dataclasses.fields(op) if isinstance(op, ops.Op) else ():
        value = getattr(op, field.name)
        parts = value if isinstance(value, tuple) else (value,)
        if field.type in ("int", "Triple") and any(isinstance(part, float) for part in parts):
            what = f"wrong value for {field.name} of {type(op).__name__}"
            return SpecError(what, got=str(value), want="whole numbers", fix="// in place of /")
    return None


def attribute_names(thing: Any) -> list[str]:
    """What may stand behind a dot."""
    kind = type(thing)
    return list(kind.model_fields) if issubclass(kind, Written) else list(getattr(thing, "_fields", dir(thing)))


def op_fields(op: str) -> list[str]:
    """The fields of one of our ops, by its class's name."""
    kind = getattr(ops, op, None)
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
