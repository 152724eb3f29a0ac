"""Parameters of a family: what its function takes, read from its annotations and checked before it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Strict, TypeAdapter, ValidationError

from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.spec.base import Written
from archdsl.spec.faults import models_of_annotation, spec_error

COMMON = ("frames", "size", "fps", "classes")
"""What can be overridden in any arch."""
STRICT = {int: Annotated[int, Strict()], bool: Annotated[bool, Strict()]}
"""Numbers and yes or no are not read from each other, nor from text."""
R = TypeVar("R")


def parameters_of(family: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The family's parameters by name; the first argument is the network's name."""
    return dict(list(inspect.signature(family).parameters.items())[1:])


def parameter_names(family: Callable[..., Any]) -> list[str]:
    """What a network of the family can be given: what any arch takes, then the family's own parameters."""
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    own = [name for name, parameter in parameters_of(family).items() if parameter.kind not in unnamed]
    return list(dict.fromkeys([*COMMON, *own]))


def split_overrides(
    model: str, family: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given, as values of the family's parameters and as overrides of any arch.

    Raises SpecError for names that neither knows, and for values that are not what the annotations say.
    """
    parameters, known = parameters_of(family), parameter_names(family)
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    own = {name: value for name, value in given.items() if name in parameters or (open_ended and name not in COMMON)}
    rest = {name: value for name, value in given.items() if name not in own}
    faults = [
        Fault(
            what=f"{model} has no parameter {name!r}",
            at=name,
            got=f"{name}={rest[name]!r}",
            want=", ".join(known),
            fix=did_you_mean(name, known),
        )
        for name in rest
        if name not in COMMON
    ]
    hints = get_type_hints(family, include_extras=True) if own else {}
    values = {}
    for name, value in own.items():
        try:
            values[name] = parameter_value(name, hints[name], value) if name in hints else value
        except SpecError as error:
            faults += error.faults
    if faults:
        raise SpecError(faults)
    return values, rest


def parameter_value(name: str, hint: Any, value: Any) -> Any:
    """A parameter's value as its annotation reads it: 0.5 as a fraction, a list as a tuple, a mapping as a block."""
    field: Any = dict.__class_getitem__((str, STRICT.get(hint, hint)))
    try:
        return TypeAdapter(field, config=ConfigDict(arbitrary_types_allowed=True)).validate_python({name: value})[name]
    except ValidationError as error:
        kind: type[Any] = next(models_of_annotation(hint), Written)
        raise spec_error(error, kind, {name: value}) from None


def row_of(table: Mapping[Any, R], **keys: Any) -> R:
    """The row of a family's table, by one key or several together; SpecError lists the keys that exist."""
    key = tuple(keys.values()) if len(keys) > 1 else next(iter(keys.values()))
    for known, row in table.items():
        if known == key and not isinstance(key, bool):
            return row
    if len(keys) == 1:
        (name,) = keys
        raise SpecError(f"wrong value for {name}", at=name, got=repr(key), want=", ".join(map(str, table)))
    raise SpecError(
        f"no network with this {' and '.join(keys)}",
        got=keyword_text(keys, key),
        want=" or ".join(keyword_text(keys, known) for known in table),
    )


def keyword_text(names: Iterable[str], values: Iterable[Any]) -> str:
    """Several parameters with their values, as they are given on a command line."""
    return ", ".join(f"{name}={value}" for name, value in zip(names, values))
