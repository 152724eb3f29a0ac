"""What a person most likely meant by a value that is refused: the fix of an error, which works as it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

LONGEST_FIX = 300
"""Letters of a fix that writes a part of a spec anew."""
NUMBER_WITH_UNIT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*[a-zA-Z%]*")
WITH_UNDERSCORES = re.compile(r"[1-9]\d{0,2}(?:_\d{3}){1,3}", re.ASCII)
"""1_000, which YAML 1.1 took for a number."""


def fix_of(name: str, value: Any, wants: str, known: Collection[str]) -> str | None:
    """The fix of a field, as it is written in YAML, or None.

    `wants` is `whole`, `number` or `triple` (t, h, w), `known` the names of the fields beside it.
    """
    if wants == "triple":
        return triple_fix(name, value)
    if isinstance(value, str) and (match := NUMBER_WITH_UNIT.fullmatch(value.strip())):
        number = match[1].removesuffix(".0")
        if value.strip().endswith("%"):
            return f"{name}: {float(number) / 100:g}" if wants == "number" else None
        return f"{name}: {number}" if wants == "number" or number.isdigit() else None
    if isinstance(value, str) and WITH_UNDERSCORES.fullmatch(value):
        return f"{name}: {value.replace('_', '')}"
    if wants == "whole" and isinstance(value, float) and value.is_integer():
        return f"{name}: {int(value)}"
    return axes_fix(name, value, known) if wants == "whole" and whole_numbers(value) else None


def triple_fix(name: str, value: Any) -> str | None:
    """One number, or those of height and width, as (t, h, w)."""
    if whole_numbers([value]):
        return f"{name}: [{1 if name == 'stride' else value}, {value}, {value}]"
    if whole_numbers(value) and len(value) == 2:
        return f"{name}: [1, {value[0]}, {value[1]}]"
    return None


def axes_fix(name: str, value: list[int], known: Collection[str]) -> str | None:
    """A list where one number is meant: a size, or a stride with its own field for time."""
    if len(set(value)) == 1 and len(value) == 2:
        return f"{name}: {value[0]}"
    if name == "size" and len(value) == 2:
        return f"height: {value[0]}, width: {value[1]}"
    if len(value) == 3 and value[1] == value[2]:
        t = f", {name}_t: {value[0]}" if f"{name}_t" in known and value[0] != 1 else ""
        return f"{name}: {value[1]}{t}" if t or value[0] == 1 or len(set(value)) == 1 else None
    return None


def whole_numbers(value: Any) -> bool:
    """Whether a value is a list of whole numbers from 1."""
    return isinstance(value, list | tuple) and bool(value) and all(type(n) is int and n > 0 for n in value)


def nested_under(data: Mapping[Any, Any], kinds: Mapping[str, Collection[str]]) -> str | None:
    """The fix of fields that stand beside the name of their kind, or without it: `{conv: {channels: 8}}`."""
    named = [key for key in data if key in kinds]
    fields = {key: value for key, value in data.items() if key not in named}
    if len(named) > 1 or not fields or (named and data[named[0]] is not None):
        return None
    for kind in named or kinds:
        if set(fields) <= set(kinds[kind]):
            return f"{{{kind}: {flow_yaml(fields)}}}"
    return None


def flow_yaml(value: Any) -> str:
    """Plain data on one line, as YAML."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow_yaml(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow_yaml, value))}]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def short_yaml(value: Any) -> str:
    """A value as YAML on one line, where it is short."""
    text = flow_yaml(value)
    return text if len(text) <= 60 else "..."
