"""The types of single numbers in a spec: counts, shares, exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from archdsl.errors import SpecError
from archdsl.spec.numbers import exact_fraction


def as_fraction(value: Any) -> Any:
    """1/8, "1/8" and 0.125 as the exact fraction a person meant."""
    if isinstance(value, bool):
        raise ValueError("a fraction such as 1/8")
    if isinstance(value, str | float | int):
        return exact_fraction(value)
    return value


def each_once(values: Any, name: str | None, at: str | None = None) -> Any:
    """The values. Raises SpecError for one that stands there twice: it would count once, in silence."""
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        once = f"[{', '.join(map(str, dict.fromkeys(values)))}]"
        fix = f"{name}: {once}" if name else once
        raise SpecError("the same twice in a list", at=at, got=str(twice), want="each once", fix=fix)
    return values


Distinct = AfterValidator(lambda values, info: each_once(values, info.field_name))
"""Of a list in which each value stands once."""
Whole = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
Share = Annotated[Real, Field(ge=0, lt=1)]
Spread = Annotated[Real, Field(ge=0)]
"""A standard deviation."""
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
