"""Arithmetic over the parameters of a drawn block: `$channels`, `$in / 4`, `($channels + $more) * 3 / 4`."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from archdsl.errors import SpecError, did_you_mean
from archdsl.spec.lines import Lines

LONGEST = 120
"""Characters of one sum."""
TOKEN = re.compile(r"\s*(\$[a-zA-Z_]\w*|\d{1,12}(?:\.\d{1,12})?|//|[-+*/()])")
SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv}
UNREADABLE = "invalid value"
WANT = "$name, or an expression such as $name * 3 / 4 (+, -, *, / and brackets; // rounds down)"


def is_sum(value: Any) -> bool:
    """Whether a value speaks of parameters."""
    return isinstance(value, str) and "$" in value


def sums_in(value: Any) -> Iterator[str]:
    """Every sum anywhere in a value."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from sums_in(part)
    elif isinstance(value, Mapping):
        yield from sums_in(list(value.values()))
    elif is_sum(value):
        yield value


def names_in(text: str) -> list[str]:
    """The parameters that a sum speaks of. Raises SpecError where it cannot be read."""
    names = [token[1:] for token in tokens(text) if token.startswith("$")]
    try:
        Sum(text, dict.fromkeys(names, 1)).whole()
    except SpecError as error:
        if error.faults[0].what == UNREADABLE:
            raise
    return names


def filled(value: Any, scope: Mapping[str, Any]) -> Any:
    """The value with the parameters of `scope` in place of every sum in it. Raises SpecError for what is not whole."""
    if isinstance(value, list | tuple):
        return tuple([filled(part, scope) for part in value])
    if isinstance(value, Mapping):
        made = {key: filled(part, scope) for key, part in value.items()}
        return Lines(made, value.written, value.keys_written) if isinstance(value, Lines) else made
    if not is_sum(value):
        return value
    first, *more = tokens(value)
    return Sum(value, scope).whole() if more else named(first[1:], scope)


def widths_in(text: str) -> list[str]:
    """The parameters of a width that count channels: of each term `$in`, or else the first.

    Raises SpecError for a term without any: a `width_ratio` cannot tell whether it counts channels.
    """
    found: list[str] = []
    opened: list[int] = []
    term = 0
    for token in [*tokens(text), "+"]:
        if token == "(":
            opened.append(term)
        elif token == ")":
            term = opened.pop() if opened else term
        elif token in ("+", "-"):
            if len(found) == term:
                fix = "a field that holds it: fields: {more: 32}, and $more in the sum"
                raise SpecError("a width with a number beside its parameters", got=text, want="$names only", fix=fix)
            term = len(found)
        elif token == "$in" and len(found) > term:
            found[term:] = ["in"]
        elif token.startswith("$") and len(found) == term:
            found.append(token[1:])
    return found


def named(name: str, scope: Mapping[str, Any]) -> Any:
    """The value of a parameter."""
    if name not in scope:
        want = ", ".join(f"${known}" for known in scope)
        near = did_you_mean(name, scope)
        raise SpecError(f"no parameter ${name}", got=f"${name}", want=want, fix=f"${near}" if near else None)
    return scope[name]


def tokens(text: str) -> list[str]:
    """Numbers, names and signs of a sum."""
    found, at = [], 0
    while text[at:].strip() and len(text) <= LONGEST:
        match = TOKEN.match(text, at)
        if not match:
            break
        found.append(match[1])
        at = match.end()
    if text[at:].strip() or not found:
        raise unreadable(text)
    return found


def unreadable(text: str) -> SpecError:
    """The error of what is no sum."""
    return SpecError(UNREADABLE, got=text[:LONGEST], want=WANT)


class Sum:
    """One sum, worked out exactly from left to right, * and / before + and -."""

    def __init__(self, text: str, scope: Mapping[str, Any]) -> None:
        self.text, self.scope = text, scope
        self.rest = tokens(text)

    def whole(self) -> int:
        """The whole number that it gives."""
        value = self.added()
        if self.rest:
            raise unreadable(self.text)
        if value.denominator != 1:
            fix = re.sub(r"(?<!/)/(?!/)", "//", self.text) if "/" in self.text else None
            raise SpecError(
                "the expression is not a whole number", got=f"{self.said()} = {value}", want="a whole number", fix=fix
            )
        return int(value)

    def added(self) -> Fraction:
        """Products with + and - between them."""
        value = self.multiplied()
        while self.rest and self.rest[0] in "+-":
            value = SIGNS[self.rest.pop(0)](value, self.multiplied())
        return value

    def multiplied(self) -> Fraction:
        """Numbers with *, / and // between them."""
        value = self.one()
        while self.rest and self.rest[0] in ("*", "/", "//"):
            sign, other = self.rest.pop(0), self.one()
            if sign != "*" and not other:
                raise SpecError("a division by 0", got=self.said(), want="a divisor other than 0")
            value = Fraction(SIGNS[sign](value, other))
        return value

    def one(self) -> Fraction:
        """A number, a parameter, or a sum in brackets."""
        token = self.rest.pop(0) if self.rest else ""
        if token == "(":
            value = self.added()
            if not self.rest or self.rest.pop(0) != ")":
                raise unreadable(self.text)
            return value
        if token.startswith("$"):
            number = named(token[1:], self.scope)
            if isinstance(number, bool) or not isinstance(number, int):
                raise SpecError("an operand is not a whole number", got=self.said(), want=f"{token} a whole number")
            return Fraction(number)
        if not token[:1].isdigit():
            raise unreadable(self.text)
        return Fraction(token)

    def said(self) -> str:
        """The sum, and what its parameters are."""
        names = dict.fromkeys(token for token in tokens(self.text) if token.startswith("$"))
        return f"{self.text} with {', '.join(f'{name} = {self.scope.get(name[1:])}' for name in names)}"
