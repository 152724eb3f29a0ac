"""Pydantic's findings as faults in our words, each with its line and, where one is likely, a fix."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from archdsl.errors import Fault, SpecError, did_you_mean, excerpt, listed
from archdsl.spec.fixes import fix_of
from archdsl.spec.lines import line_at

SYNONYMS = {"from": "source", "src": "source", "to": "target", "dst": "target", "dest": "target"}
"""What others call a field, where it looks like another of ours."""
FINDING_WANTS = {
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
    line = line_at(data, loc)
    inner = found.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        for fault in inner.faults:
            yield fault.under(".".join(loc) or None).placed(None, line)
        return
    match found["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            fault = unknown_field(found, kind, loc)
        case "missing":
            fault = too_short_list(found, kind, loc) if loc[-1].isdigit() else missing_field(loc)
        case _:
            fault = wrong_value(found, kind, loc)
    yield dataclasses.replace(fault, written=line)


def unknown_field(found: Any, kind: type[Any], loc: list[str]) -> Fault:
    """The fault of a field that a model lacks."""
    name, known, got = loc[-1], fields_at(kind, loc[:-1]), excerpt(f"{found['input']!r}")
    other = SYNONYMS.get(name)
    fix = other if other in known else did_you_mean(name, known)
    if name == "repeat":
        fix = f"repeat: {got} beside the block, not among its fields"
    what = f"unknown field {name!r}"
    return Fault(what=what, at=".".join(loc), got=f"{name}: {got}", want=listed(known), fix=fix)


def missing_field(loc: list[str]) -> Fault:
    """The fault of a field without a value."""
    return Fault(what=f"missing field {loc[-1]!r}", at=".".join(loc), want=f"{loc[-1]}: a value")


def too_short_list(found: Any, kind: type[Any], loc: list[str]) -> Fault:
    """The fault of a list that lacks an element."""
    *above, name = loc[:-1]
    wants, known = fix_context(kind, [*above, name], "missing")
    return Fault(
        what=f"wrong value for {name}",
        at=".".join([*above, name]),
        got=excerpt(f"{found['input']!r}"),
        want="three numbers: t, h, w" if wants == "triple" else "a longer list",
        fix=fix_of(name, found["input"], wants, known),
    )


def wrong_value(found: Any, kind: type[Any], loc: list[str]) -> Fault:
    """The fault of a value that a field does not take."""
    at, got, want = ".".join(loc) or None, excerpt(f"{found['input']!r}"), wanted_by(found)
    if loc[1:] and loc[-1].isdigit():  # a number alone names nothing: which list it stands in does
        loc = loc[:-1]
    if loc and loc[-1] == "[key]":
        return Fault(what=f"invalid name {loc[-2]!r}", at=".".join(loc[:-2]), got=got, want=want)
    wants, known = fix_context(kind, loc, found["type"])
    fix = fix_of(loc[-1], found["input"], wants, known) if loc else None
    if found["type"] == "literal_error" and isinstance(found["input"], str):
        fix = did_you_mean(found["input"].lower(), re.findall(r"'(\w+)'", found["ctx"]["expected"]))
    want = "three numbers: t, h, w" if wants == "triple" and want == "a list" else want
    return Fault(what=f"wrong value for {loc[-1]}" if loc else "wrong value", at=at, got=got, want=want, fix=fix)


def fix_context(kind: type[Any], loc: list[str], finding: str) -> tuple[str, list[str]]:
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
        kind = next(models_of_annotation(field.annotation), kind) if field else kind
    last = kind.model_fields.get(loc[-1])
    return last is not None and any(
        len(getattr(t, "__args__", ())) == 3 for t in (last.annotation, *union_members(last))
    )


def union_members(field: Any) -> tuple[Any, ...]:
    """What a field of several kinds may be."""
    return tuple(getattr(field.annotation, "__args__", ()))


def wanted_by(found: Any) -> str:
    """What a finding asks for."""
    match found["type"]:
        case "too_short":
            return f"at least {found['ctx']['min_length']}"
        case "too_long":
            return f"at most {found['ctx']['max_length']}"
        case "string_too_long":
            return f"at most {found['ctx']['max_length']} characters"
        case kind:
            return FINDING_WANTS.get(kind) or str(found["msg"]).removeprefix("Value error, ").removeprefix(
                "Input should be "
            )


def fields_at(kind: type[Any], loc: list[str]) -> list[str]:
    """Field names of the model (or of the op) at a place below `kind`, as far as annotations tell."""
    if not issubclass(kind, BaseModel):
        return [field.name for field in dataclasses.fields(kind)]
    for part in loc:
        field = kind.model_fields.get(part)
        kinds = list(models_of_annotation(field.annotation)) if field else [kind]
        if not kinds:
            return []
        kind = kinds[0]
    return list(kind.model_fields)


def models_of_annotation(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models_of_annotation(part)
