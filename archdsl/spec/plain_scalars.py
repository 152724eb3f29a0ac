"""Scalars as YAML 1.2 reads them (core schema): 010 is 10, 0o10 is 8; yes, no, 10:20, 1_000 and 2001-01-01 are text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

STANDARD = "tag:yaml.org,2002:"
PATTERNS = {
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}
"""Kind of a plain scalar -> what it looks like; the first that fits counts."""
FIRST = {"null": ["~", "n", "N", ""], "bool": list("tTfF"), "int": list("-+0123456789"), "float": list("-+.0123456789")}
"""The characters that each begins with."""


def scalar_kind(text: str) -> str:
    """null, bool, int or float for a plain scalar that is one; str for all others."""
    return next((kind for kind, pattern in PATTERNS.items() if pattern.match(text)), "str")


def value_of(kind: str, text: str) -> Any:
    """What a text says as a value of a kind. Raises ValueError for a text that is none."""
    if kind not in PATTERNS:
        return text
    if not PATTERNS[kind].match(text) and not (kind == "float" and PATTERNS["int"].match(text)):
        raise ValueError(kind)
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, 0 if text[:2] in ("0x", "0o") else 10)
        case _:
            return float(text.replace(".inf", "inf").replace(".nan", "nan") if text[-1].isalpha() else text)


def resolvers(others: Mapping[str, list[Any]] = MappingProxyType({})) -> dict[str, list[Any]]:
    """First character -> what a plain scalar may be, as PyYAML wants it: these kinds, `<<` for a merge, and others."""
    found: dict[str, list[Any]] = {"<": [(f"{STANDARD}merge", re.compile(r"<<\Z"))]}
    for kind, pattern in PATTERNS.items():
        for letter in FIRST[kind]:
            found.setdefault(letter, []).append((STANDARD + kind, pattern))
    return {letter: [*found.get(letter, ()), *others.get(letter, ())] for letter in {*found, *others}}
