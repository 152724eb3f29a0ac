"""What the name of a step stands for, whether its fields can be, and which of them count channels or stride."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

import archdsl.blocks as known  # the tuple BLOCKS is read when a spec is, after every block is defined
from archdsl.blocks.arithmetic import sums_in
from archdsl.blocks.base import Block, width_fields
from archdsl.errors import Fault, SpecError
from archdsl.ops import OPS, Op, key_of
from archdsl.spec.base import read_model
from archdsl.spec.faults import spec_error
from archdsl.spec.lines import Lines

OPS_BY_KEY = {key_of(kind): kind for kind in OPS if key_of(kind) != "source"}
Kind = type[Op] | type[Block]
FieldChange = Callable[[Any], Any]
"""What is made of the value of a field."""
Roles = Mapping[str, tuple[str, ...]]
"""Drawn block -> those of its fields that count channels (or that stride)."""


@cache
def blocks_by_key() -> dict[str, type[Block]]:
    """Built-in blocks by name."""
    return {key_of(kind): kind for kind in known.BLOCKS}


def kind_of(name: str, fields: Mapping[str, Any]) -> Kind | None:
    """The op or built-in block of a name; of both, the block where a field is written that only the block has."""
    op, block = OPS_BY_KEY.get(name), blocks_by_key().get(name)
    if op is None or block is None:
        return op or block
    return block if set(fields) & (set(block.model_fields) - set(names_of(op))) else op


def names_of(kind: Kind) -> list[str]:
    """The names of its fields."""
    return [field.name for field in dataclasses.fields(kind)] if issubclass(kind, Op) else list(kind.model_fields)


def made(kind: Kind, fields: Mapping[str, Any]) -> Any:
    """An op or a block of fields that come from data. Raises SpecError for fields that cannot be."""
    if issubclass(kind, Block):
        return read_model(kind, fields)
    try:
        return adapter(key_of(kind)).validate_python(fields)
    except ValidationError as error:
        raise spec_error(error, kind, fields) from None


@cache
def adapter(op: str) -> TypeAdapter[Any]:
    """Checks the fields of an op."""
    return TypeAdapter(OPS_BY_KEY[op])


def faults_of_fields(kind: Kind, fields: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the fields of a step whatever its parameters are."""
    names = names_of(kind)
    plain = {name: value for name, value in fields.items() if name not in names or not [*sums_in(value)]}
    try:
        made(kind, plain)
    except SpecError as error:
        for fault in error.faults:
            left_out = fault.what.startswith("missing field") and fault.at in fields
            if not left_out and (fault.at or plain == fields):  # a whole is judged where all of it is known
                yield fault


def with_role(
    name: str, fields: Mapping[str, Any], own: OwnFields, drawn: Roles, change: Callable[[Any], Any]
) -> dict[str, Any]:
    """The fields of a step, each that has the role changed, those of blocks within it too."""
    kind = kind_of(name, fields)
    of_role = drawn.get(name, ()) if kind is None else own(kind)
    changed: dict[str, Any] = {}
    for key, value in fields.items():
        try:
            changed[key] = change(value) if key in of_role else within(value, own, drawn, change)
        except SpecError as error:
            raise error.under(key) from None
    return Lines(changed, fields.written, fields.keys_written) if isinstance(fields, Lines) else changed


def within(value: Any, own: OwnFields, drawn: Roles, change: FieldChange) -> Any:
    """A value of a field in which blocks may be written."""
    if isinstance(value, list | tuple):
        return [within(part, own, drawn, change) for part in value]
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    for key, inner in value.items():
        block = isinstance(inner, Mapping) and (key in drawn or kind_of(key, inner) is not None)
        made[key] = with_role(key, inner, own, drawn, change) if block else within(inner, own, drawn, change)
    return Lines(made, value.written, value.keys_written) if isinstance(value, Lines) else made


OwnFields = Callable[[Kind], tuple[str, ...]]
"""The fields of an op or a block that have a role."""


def strides_of(kind: Kind) -> tuple[str, ...]:
    """The fields that only the first of several repeated blocks keeps."""
    return ("stride",) if issubclass(kind, Op) else kind.first_only


def widths_of(kind: Kind) -> tuple[str, ...]:
    """The fields that count channels."""
    return kind.widths if issubclass(kind, Op) else width_fields(kind)


def scaled_fields(name: str, fields: dict[str, Any], drawn: Roles, change: FieldChange) -> dict[str, Any]:
    """The fields of a step with numbers of channels changed, defaults of blocks too."""
    kind = kind_of(name, fields)
    if kind is not None and issubclass(kind, Block):
        if kind.scaled is not Block.scaled and kind is not known.Branches:
            raise SpecError(f"{name} in a drawn block, which width_ratio cannot scale", got=name, want="width_ratio: 1")
        defaults = {key: kind.model_fields[key].default for key in width_fields(kind)}
        fields = {**{key: n for key, n in defaults.items() if isinstance(n, int)}, **fields}
    return with_role(name, fields, widths_of, drawn, change)
