"""Names of a spec that nothing has, looked up among the parts of it that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from archdsl.blocks.single_key import unkeyed
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.language.head import HEADS_BY_KEY, Head
from archdsl.spec.base import Written


def valid_parts(kind: type[Written], data: Any) -> dict[Any, Any]:
    """Those parts of a mapping that can be read."""
    made: dict[Any, Any] = {}
    for name, value in data.items() if isinstance(data, Mapping) else ():
        with suppress(ValidationError, SpecError):
            value = unkeyed(value, HEADS_BY_KEY, "head") if kind is Head else value
            made[name] = kind.model_validate(value)
    return made


def unknown_name(field: str, name: str, known: Any, at: str, written: str | None, of: str = "") -> Fault:
    """The fault of a name that nothing has."""
    noun = {"clip": "clip", "after": "stage" if of else "pathway", "into": "stage"}.get(field, "pathway")
    return Fault(
        what=f"no {noun} {name!r}{of}",
        at=f"{at}.{field}",
        written=written,
        got=name,
        want=listed(known),
        fix=did_you_mean(name, known),
    )
