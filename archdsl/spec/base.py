"""The pydantic base of everything a person writes: frozen, forbids unknown fields, knows the line that wrote it."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.spec.fixes import fix_of
from archdsl.spec.numbers import exact

OURS = (str(Path(__file__).parent.parent), str(Path(pydantic.__file__).parent))
SHELF = str(Path(__file__).parent.parent / "_shelf")


class Lines(dict[str, Any]):
    """A mapping read from a file, which remembers the line of itself and of each key."""

    def __init__(self, data: Mapping[str, Any], written: str, keys: Mapping[str, str]) -> None:
        super().__init__(data)
        self.written = written
        self.keys_written = dict(keys)


class Written(BaseModel):
    """Base of the language's models. Equal when all fields are equal, wherever they were written."""

    # defer_build: a spec pays for the blocks it uses, not for all there are
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    _written: str | None = PrivateAttr(default=None)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise spec_error(error, type(self), data).placed(written=line_outside()) from None
        self._written = line_outside()

    # pydantic then fills nested models without calling __init__, so that their faults keep the lines of the file
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="wrap")
    @classmethod
    def _keep_line(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        made = handler(data)
        if isinstance(data, Lines):
            made._written = data.written
        return made

    @property
    def written(self) -> str | None:
        """`file:line` where this was written, or None."""
        return self._written

    def but(self, **changes: Any) -> Any:
        """A copy with some fields changed, checked again."""
        known = type(self).model_fields
        for name in changes:
            if name not in known:
                near = did_you_mean(name, known)
                raise SpecError(
                    f"{type(self).__name__} has no field {name!r}",
                    written=self._written,
                    got=name,
                    want=", ".join(known),
                    fix=near,
                )
        fields = {name: getattr(self, name) for name in self.model_fields_set} | changes
        try:
            made = type(self)(**fields)
        except SpecError as error:
            raise SpecError(Fault(**{**vars(f), "written": self._written or f.written}) for f in error.faults) from None
        made._written = self._written
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Written) or type(self) is not type(other):
            return False
        return self.values_of_fields() == other.values_of_fields()

    def __hash__(self) -> int:
        return hash((type(self), *map(str, self.values_of_fields())))

    def values_of_fields(self) -> list[Any]:
        """The value of every field; a cached property lies beside them in `__dict__`."""
        return [getattr(self, name) for name in type(self).model_fields]


W = TypeVar("W", bound=Written)


def read(kind: type[W], data: Any) -> W:
    """Data (a mapping from a file) as a model, or every fault of it as SpecError."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise spec_error(error, kind, data) from None


def spec_error(error: ValidationError, kind: type[Any], data: Any) -> SpecError:
    """Pydantic's findings in our words, with the line of the value when the data remembers it."""
    faults: dict[Any, Fault] = {}
    for fault in (fault for found in error.errors() for fault in faults_of(found, kind, data)):
        # pydantic tells each choice of a union apart
        same = (fault.what, fault.at, fault.got) if fault.what.startswith("wrong value") else fault
        before = faults.get(same, fault)
        wants = [before.want] if (fault.want or "") in (before.want or "") else [before.want, fault.want]
        want, fix = " or ".join(filter(None, wants)) or None, before.fix or fault.fix
        faults[same] = dataclasses.replace(fault, want=want, fix=fix)
    mended = {
        (fault.at or "").removesuffix(fault.got.partition(":")[0]) + fault.fix
        for fault in faults.values()
        if fault.fix and fault.got
    }
    return SpecError(
        fault for fault in faults.values() if not (fault.what.startswith("missing field") and fault.at in mended)
    )


def faults_of(found: Any, kind: type[Any], data: Any) -> Iterator[Fault]:
    """One pydantic finding as faults: ours are unpacked, pydantic's are reworded."""
    loc = [
        str(part)
        for part in found["loc"]
        if not str(part).startswith(("function-", "tuple[", "literal[", "constrained-"))
    ]
    at = ".".join(loc) or None
    line = line_of(data, loc)
    inner = found.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        for fault in inner.faults:
            yield fault.under(at).placed(None, line)
        return
    got = cut(f"{found['input']!r}")
    match found["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = fields_at(kind, loc[:-1])
            near = did_you_mean(loc[-1], known)
            if loc[-1] == "repeat":
                near = f"repeat: {got} beside the block, not among its fields"
            yield Fault(
                what=f"unknown field {loc[-1]!r}",
                at=at,
                written=line,
                got=f"{loc[-1]}: {got}",
                want=listed(known),
                fix=near,
            )
        case "missing":
            if loc[-1].isdigit():
                fix = fix_of(loc[-2], found["input"], *asked(kind, loc[:-1], "missing"))
                what, at = f"wrong value for {loc[-2]}", ".".join(loc[:-1])
                yield Fault(what=what, at=at, written=line, got=got, want="three numbers: t, h, w", fix=fix)
                return
            yield Fault(what=f"missing field {loc[-1]!r}", at=at, written=line, want=f"{loc[-1]}: a value")
        case _:
            want = wanted(found)
            if loc[1:] and loc[-1].isdigit():  # a number alone names nothing: which list it stands in does
                loc.pop()
            if loc and loc[-1] == "[key]":
                yield Fault(what=f"invalid name {loc[-2]!r}", at=".".join(loc[:-2]), written=line, got=got, want=want)
                return
            what = f"wrong value for {loc[-1]}" if loc else "wrong value"
            wants, known = asked(kind, loc, found["type"])
            fix = fix_of(loc[-1], found["input"], wants, known) if loc else None
            if found["type"] == "literal_error" and isinstance(found["input"], str):
                fix = did_you_mean(found["input"].lower(), re.findall(r"'(\w+)'", found["ctx"]["expected"]))
            want = "three numbers: t, h, w" if wants == "triple" and want == "a list" else want
            yield Fault(what=what, at=at, written=line, got=got, want=want, fix=fix)


def asked(kind: type[Any], loc: list[str], finding: str) -> tuple[str, list[str]]:
    """What `fix_of` is to suggest for a field, and the names of the fields beside it."""
    known = fields_at(kind, loc[:-1])
    if finding in ("missing", "tuple_type", "too_long"):
        return "triple" if loc and is_triple(kind, loc) else "", known
    return "whole" if finding.startswith("int") else "number", known


def is_triple(kind: type[Any], loc: list[str]) -> bool:
    """Whether a field is one number for each of t, h, w."""
    if not issubclass(kind, BaseModel):
        return any(field.name == loc[-1] and field.type in ("Triple", "PadRule") for field in dataclasses.fields(kind))
    for part in loc[:-1]:
        field = kind.model_fields.get(part)
        kind = next(models_in(field.annotation), kind) if field else kind
    last = kind.model_fields.get(loc[-1])
    return last is not None and any(len(getattr(t, "__args__", ())) == 3 for t in (last.annotation, *choices(last)))


def choices(field: Any) -> tuple[Any, ...]:
    """What a field of several kinds may be."""
    return tuple(getattr(field.annotation, "__args__", ()))


def cut(text: str) -> str:
    """What was met, as far as it helps."""
    return text if len(text) <= 80 else text[:77] + "..."


def check_number(noun: str, things: Any, most: int) -> None:
    """Raise SpecError for more things than a document may have, before any of them is looked at."""
    if isinstance(things, Mapping | list | tuple) and len(things) > most:
        written = getattr(things, "written", None)
        raise SpecError(f"too many {noun}", at=noun, written=written, got=str(len(things)), want=f"at most {most}")


def wanted(found: Any) -> str:
    """What a finding asks for."""
    match found["type"]:
        case "too_short":
            return f"at least {found['ctx']['min_length']}"
        case "too_long":
            return f"at most {found['ctx']['max_length']}"
        case "string_too_long":
            return f"at most {found['ctx']['max_length']} characters"
        case kind:
            return WANTS.get(kind) or str(found["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


WANTS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
"""Pydantic's kinds of finding whose own words are not for people."""


def fields_at(kind: type[Any], loc: list[str]) -> list[str]:
    """Field names of the model (or of the op) at a place below `kind`, as far as annotations tell."""
    if not issubclass(kind, BaseModel):
        return [field.name for field in dataclasses.fields(kind)]
    for part in loc:
        field = kind.model_fields.get(part)
        kinds = list(models_in(field.annotation)) if field else [kind]
        if not kinds:
            return []
        kind = kinds[0]
    return list(kind.model_fields)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models_in(part)


def line_of(data: Any, loc: list[str]) -> str | None:
    """The line of the value at `loc`, or of the nearest mapping around it; parts not in the file are passed over."""
    line = getattr(data, "written", None)
    for part in loc:
        if isinstance(data, Lines) and part in data:
            line = data.keys_written.get(part, data.written)
            data = data[part]
        elif isinstance(data, list | tuple) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        line = getattr(data, "written", line)
    return line


def line_outside() -> str | None:
    """`file:line` of the nearest caller that is neither this package nor pydantic."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if line := line_of_frame(frame.f_code.co_filename, frame.f_lineno):
            return line
        frame = frame.f_back
    return None


def line_of_frame(name: str, number: int) -> str | None:
    """`file:line` of a person's code, zoo files among it; None for this package and pydantic."""
    theirs = not name.startswith("<") and (not name.startswith(OURS) or name.startswith(SHELF))
    return f"{name.rpartition('/')[2]}:{number}" if theirs else None


def as_fraction(value: Any) -> Any:
    """1/8, "1/8" and 0.125 as the exact fraction a person meant."""
    if isinstance(value, bool):
        raise ValueError("a fraction such as 1/8")
    if isinstance(value, str | float | int):
        return exact(value)
    return value


Whole = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
Share = Annotated[Real, Field(ge=0, lt=1)]
Sizes = tuple[Count, Count, Count]
Ratio = Annotated[
    Fraction,
    BeforeValidator(as_fraction),
    Field(gt=0),
    PlainSerializer(lambda value: value.numerator if value.denominator == 1 else str(value)),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^\d+(/\d+)?$"}, {"type": "number", "exclusiveMinimum": 0}]}
    ),
]
