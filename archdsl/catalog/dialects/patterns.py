"""Patterns of names: `{pw:slow|fast}.res{s}.{i}.conv_{j:a|b}` against `s{s}.pathway{pw:0|1}_res{i}.branch2.{j:a|b}`.

{s}       a number; {s-1} and {3k+s-1} write another one
{j:a|b}   one of several texts, known by its place among them: written as the text at that place, {j} alone as the place
{w:*}     any text without dots
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
TERM = re.compile(r"([+-]?)(\d*)([A-Za-z_]\w*)?")
REST = r"(?P<rest>(?:\..*)?)"
"""A pattern also matches what lies below the name."""

FieldValues = Mapping[str, int | str]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for whole names and those below them."""
    made, last, seen = "", 0, set[str]()
    for field in FIELD.finditer(pattern):
        name, choices = field[1], field[2]
        made += re.escape(pattern[last : field.start()])
        inner = r"\d+" if choices is None else r"[^.]+" if choices == "*" else one_of_texts(choices)
        made += f"(?P<{name}>{inner})" if name.isidentifier() and name not in seen else f"(?:{inner})"
        seen.add(name)
        last = field.end()
    return re.compile(made + re.escape(pattern[last:]) + REST)


def one_of_texts(texts: str) -> str:
    """A regular expression for one of several texts."""
    return "|".join(map(re.escape, texts.split("|")))


@cache
def choices_in(pattern: str) -> dict[str, tuple[str, ...]]:
    """The texts that the fields of a pattern choose among, by field."""
    return {field[1]: tuple(field[2].split("|")) for field in FIELD.finditer(pattern) if field[2] not in (None, "*")}


def match(pattern: str, name: str) -> dict[str, int | str] | None:
    """What the fields of a pattern stand for in a name, and `rest`; None where it does not match."""
    found = compiled(pattern).fullmatch(name)
    if not found:
        return None
    choices = choices_in(pattern)
    return {
        field: choices[field].index(text) if field in choices else int(text) if text.isdecimal() else text
        for field, text in found.groupdict().items()
    }


def written(pattern: str, values: FieldValues) -> str:
    """The name that a pattern gives with these values."""

    def text(field: re.Match[str]) -> str:
        if field[2] not in (None, "*"):
            return field[2].split("|")[int(values[field[1]])]
        return str(values[field[1]]) if field[1] in values else str(total(field[1], values))

    return FIELD.sub(text, pattern)


def total(sum_: str, values: FieldValues) -> int:
    """The value of a sum such as 3k+s-1."""
    terms = [term for term in TERM.finditer(sum_) if term[0]]
    return sum(
        (-1 if sign == "-" else 1) * int(factor or 1) * (int(values[name]) if name else 1)
        for sign, factor, name in (term.groups() for term in terms)
    )


def pattern_fields(pattern: str) -> tuple[str, ...]:
    """The fields of a pattern, in their order."""
    names = (term[3] for field in FIELD.finditer(pattern) for term in TERM.finditer(field[1]) if term[3])
    return tuple(dict.fromkeys(names))
