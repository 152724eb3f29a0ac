"""A block written in YAML: a small named graph of ops."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from archdsl.blocks.base import Block
from archdsl.blocks.names import Name
from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.graph import Builder
from archdsl.ops import OPS, Op, key_of
from archdsl.written import Lines, Written, spec_error

OPS_BY_KEY = {key_of(kind): kind for kind in OPS if key_of(kind) != "source"}
SUM = re.compile(r"\$(\w+)(?:\s*([*/+-])\s*(\$?\w+))?")


class Step(Written):
    """One op of a drawn block: `{conv: {...}, reads: [names]}`. Without `reads` it reads the step before it."""

    op: str = Field(description="the op's name")
    fields: dict[str, Any] = Field({}, description="the op's fields; $name is a parameter, $in the channels that enter")
    reads: tuple[str, ...] = Field((), description="steps it reads; `input` is what enters the block")

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "op" in data:
            return data
        keys = [key for key in data if key != "reads"]
        if len(keys) != 1:
            raise SpecError(
                "a step is one op and what it reads",
                got=", ".join(map(str, data)),
                want="{conv: {...}, reads: [input]}",
            )
        (op,) = keys
        if op not in OPS_BY_KEY:
            raise SpecError(
                f"no op {op!r}", got=str(op), want=listed(OPS_BY_KEY), fix=did_you_mean(str(op), OPS_BY_KEY)
            )
        fields = {} if data[op] is None else data[op]
        if not isinstance(fields, dict):
            raise SpecError(f"{op} without field names", got=f"{fields!r}", want=f"{{{op}: {{field: value}}}}")
        reads = data.get("reads", ())
        unfolded = {"op": op, "fields": dict(fields), "reads": (reads,) if isinstance(reads, str) else reads}
        return Lines(unfolded, data.written, {}) if isinstance(data, Lines) else unfolded


class Drawing(Written):
    """What a drawn block is: its parameters with defaults, and its ops in order. The last one is the result."""

    fields: dict[Name, int | float | bool | str | None] = Field(
        {}, description="parameters; null where a value must be given"
    )
    steps: dict[Name, Step] = Field(min_length=1, description="ops by name, in order")


class Drawn(Block):
    """One use of a drawn block. In YAML it is written like any other: `{my_block: {channels: 64}}`."""

    name: str = Field(description="which drawing")
    values: dict[str, Any] = Field({}, description="its parameters")
    drawing: Drawing | None = Field(None, description="the definition; the arch's `blocks` gives it")

    def build(self, g: Builder, x: str) -> str:
        assert self.drawing, "the arch gives every drawn block its drawing"
        unknown = [name for name in self.values if name not in self.drawing.fields]
        if unknown:
            raise SpecError(
                f"{self.name} has no field {unknown[0]!r}",
                got=unknown[0],
                want=listed(self.drawing.fields) or "no fields",
                fix=did_you_mean(unknown[0], self.drawing.fields),
            )
        values = {**self.drawing.fields, **self.values}
        for name, value in values.items():
            if value is None:
                raise SpecError(f"missing field {name!r}", want=f"{self.name}: {{{name}: ...}}")
        scope = {**values, "in": g.shape(x).c}
        made, last = {"input": x}, "input"
        for name, step in self.drawing.steps.items():
            for read in step.reads:
                if read not in made:
                    raise SpecError(
                        f"step {name} reads {read!r}, which is not before it",
                        written=step.written,
                        got=read,
                        want=", ".join(made),
                    )
            try:
                op = op_from(step, scope)
            except SpecError as error:
                raise error.under(f"{g.path}.{name}").placed(written=step.written) from None
            made[name] = g.add(name, op, *(made[read] for read in step.reads or (last,)))
            last = name
        return made[last]

    def scaled(self, ratio: Any, rounding: Any) -> Any:
        if ratio == 1:
            return self
        raise SpecError(
            f"{self.name} is drawn and cannot be scaled by width_ratio",
            written=self.written,
            fix="give its widths in numbers",
        )


def op_from(step: Step, scope: dict[str, Any]) -> Op:
    """The op of a step, its `$names` filled in."""
    fields = {name: filled(value, scope) for name, value in step.fields.items()}
    try:
        return adapter(step.op).validate_python(fields)
    except ValidationError as error:
        raise spec_error(error, OPS_BY_KEY[step.op], fields) from None


@lru_cache
def adapter(op: str) -> TypeAdapter[Any]:
    """Checks the fields of an op that comes from data."""
    return TypeAdapter(OPS_BY_KEY[op])


def filled(value: Any, scope: dict[str, Any]) -> Any:
    """`$name`, or one sum of two such as `$in / 4` (whole division), anywhere in a value."""
    if isinstance(value, list | tuple):
        return tuple(filled(part, scope) for part in value)
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    match = SUM.fullmatch(value.strip())
    if not match:
        raise SpecError("a value that cannot be read", got=value, want="$name, or $name * 2, $name / $other, + or -")
    left, sign, right = match.groups()
    a = named(left, scope)
    if sign is None:
        return a
    b = named(right[1:], scope) if right.startswith("$") else right
    try:
        a, b = int(a), int(b)
        return {"*": a * b, "+": a + b, "-": a - b, "/": a // b if sign == "/" else 0}[sign]
    except (ValueError, TypeError, ZeroDivisionError):
        raise SpecError(
            "a sum of what are not whole numbers", got=f"{value} with {a} and {b}", want="whole numbers"
        ) from None


def named(name: str, scope: dict[str, Any]) -> Any:
    """The value of a parameter."""
    if name not in scope:
        raise SpecError(
            f"no parameter ${name}",
            got=f"${name}",
            want=", ".join(f"${known}" for known in scope),
            fix=f"${near}" if (near := did_you_mean(name, scope)) else None,
        )
    return scope[name]
