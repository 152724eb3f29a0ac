"""One rule for choices in YAML: a mapping's single key names the thing, its value gives the fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic_core import PydanticSerializationError

from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.ops import key_of
from archdsl.spec.base import Written, read_model
from archdsl.spec.fixes import nested_under
from archdsl.spec.lines import Lines


def unkeyed(data: Any, kinds: Mapping[str, type[Written]], noun: str) -> Any:
    """`{bottleneck: {channels: 256}}` as a Bottleneck; what is already made is left alone."""
    if not isinstance(data, Mapping):
        if isinstance(data, str) and data in kinds:
            return read_model(kinds[data], {})
        if isinstance(data, str):
            raise no_such(data, kinds, noun)
        return data
    if len(data) != 1:
        got, fix = ", ".join(map(str, data)) or "nothing", nested_under(data, fields_by_key(kinds))
        raise SpecError(f"not one {noun}", got=got, want=f"one {noun}: {listed(kinds)}", fix=fix)
    ((key, fields),) = data.items()
    if key not in kinds:
        line = data.keys_written.get(key) if isinstance(data, Lines) else None
        raise no_such(str(key), kinds, noun, nested_under(data, fields_by_key(kinds))).placed(written=line)
    fields = {} if fields is None else fields
    if not isinstance(fields, Mapping):
        raise SpecError(f"{key} without field names", got=f"{fields!r}", want=f"{{{key}: {{field: value}}}}")
    made = read_model(kinds[key], fields)
    if isinstance(data, Lines) and not made.written:
        made._written = data.written
    return made


def no_such(key: str, kinds: Iterable[str], noun: str, fix: str | None = None) -> SpecError:
    """The error of a name that none of the kinds has."""
    return SpecError(f"no {noun} {key!r}", got=key, want=listed(kinds), fix=fix or did_you_mean(key, kinds))


def fields_by_key(kinds: Mapping[str, type[Written]]) -> dict[str, list[str]]:
    """The names of the fields of each kind."""
    return {key: list(kind.model_fields) for key, kind in kinds.items()}


def keyed(thing: Written, kinds: Mapping[str, type[Written]], noun: str) -> dict[str, Any]:
    """The inverse of `unkeyed`: only fields that differ from their defaults. Raises SpecError for a kind of Python."""
    if type(thing) not in kinds.values():
        kind = type(thing).__name__
        raise SpecError(
            f"{kind} is a {noun} of Python and has no YAML form",
            written=thing.written,
            got=kind,
            want=f"one {noun}: {listed(kinds)}",
            fix="keep this spec in Python, or draw the block under `blocks:`"
            if noun == "block"
            else "keep this spec in Python",
        )
    return {key_of(type(thing)): fields_of(thing)}


def fields_of(thing: Written) -> dict[str, Any]:
    """Fields that differ from their defaults, as plain data. Raises SpecError for what has no form as data."""
    try:
        return thing.model_dump(mode="json", exclude_defaults=True)
    except PydanticSerializationError as error:
        if isinstance(error.__cause__, SpecError):
            raise error.__cause__ from None
        raise


@cache  # asked for with every block of a spec
def kinds_by_key(kinds: tuple[type[Written], ...]) -> Mapping[str, type[Written]]:
    """Kinds under their names in YAML."""
    return {key_of(kind): kind for kind in kinds}
