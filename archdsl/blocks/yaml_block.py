"""A block written in YAML: a small named graph of ops."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property, lru_cache
from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from archdsl.blocks.arithmetic import filled, named, names_in, sums_in
from archdsl.blocks.base import Block, ones_like
from archdsl.blocks.names import Name
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import OPS, Op, key_of
from archdsl.spec.base import Lines, Written, spec_error
from archdsl.spec.budget import STEPS

OPS_BY_KEY = {key_of(kind): kind for kind in OPS if key_of(kind) != "source"}


def as_parameter(value: Any) -> Any:
    """A parameter's value, lists as tuples, or ValueError."""
    if isinstance(value, list | tuple):
        return tuple([as_parameter(part) for part in value])
    if not (value is None or isinstance(value, bool | int | float | str)) or (
        isinstance(value, float) and not isfinite(value)
    ):
        raise ValueError("a number, text, true, false, null, or a list of these")
    return value


Value = Annotated[
    Any, BeforeValidator(as_parameter), WithJsonSchema({"type": ["number", "string", "boolean", "null", "array"]})
]
"""What a parameter of a drawn block may be."""


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

    fields: dict[Name, Value] = Field({}, description="parameters; null where a value must be given")
    steps: dict[Name, Step] = Field(min_length=1, max_length=STEPS, description="ops by name, in order")

    @model_validator(mode="after")
    def _steps_stand(self) -> Drawing:
        """Every fault that shows without a use of the block."""
        faults: list[Fault] = []
        before = ["input"]
        for name, step in self.steps.items():
            if name == "input":
                want = "another name: `input` is what enters the block"
                faults.append(Fault(what="a step named 'input'", at="steps.input", written=step.written, want=want))
            for read in step.reads:
                if read not in before:
                    what = f"step {name} reads {read!r}, which is not an earlier step"
                    fix = did_you_mean(read, before)
                    at, want = f"steps.{name}.reads", ", ".join(before)
                    faults.append(Fault(what=what, at=at, written=step.written, got=read, want=want, fix=fix))
            found = faults_of_fields(step, (*self.fields, "in"))
            faults += [fault.under(f"steps.{name}").placed(None, step.written) for fault in found]
            before.append(name)
        if faults:
            raise SpecError(faults)
        return self

    @cached_property
    def strides(self) -> tuple[str, ...]:
        """Parameters that some step strides by: only the first of several repeated blocks keeps them."""
        sums = [text for step in self.steps.values() for text in sums_in(step.fields.get("stride"))]
        names = {name for text in sums for name in names_in(text)}
        return tuple(name for name in self.fields if name in names)


class Drawn(Block):
    """One use of a drawn block. In YAML it is written like any other: `{my_block: {channels: 64}}`."""

    name: str = Field(description="which drawing")
    values: dict[str, Value] = Field({}, description="its parameters")
    drawing: Drawing | None = Field(None, description="the definition; the arch's `blocks` gives it")
    later: bool = Field(False, description="whether it is the second, third... of a repeat")

    @property
    def first_only(self) -> tuple[str, ...]:  # type: ignore[override]
        """The parameters that its steps stride by."""
        return self.drawing.strides if self.drawing else ()

    def defined(self, drawing: Drawing) -> Drawn:
        """This block with its definition."""
        made = self.model_copy(update={"drawing": drawing, "later": False})
        return made.again() if self.later else made

    def again(self) -> Drawn:
        if self.drawing is None:
            return self.model_copy(update={"later": True})
        given = {**self.drawing.fields, **self.values}
        ones = {name: ones_like(given[name]) for name in self.drawing.strides}
        if all(given[name] == one for name, one in ones.items()):
            return self
        return self.model_copy(update={"values": {**self.values, **ones}})

    def faults(self) -> Iterator[Fault]:
        """Parameters that the definition lacks, and those that have no value."""
        assert self.drawing, "the arch gives every drawn block its drawing"
        known = self.drawing.fields
        misspelt = {name: did_you_mean(name, known) for name in self.values if name not in known}
        for name, near in misspelt.items():
            want = listed(known) or "no fields"
            yield Fault(what=f"{self.name} has no field {name!r}", written=self.written, got=name, want=want, fix=near)
        for name, value in {**known, **self.values}.items():
            if value is None and name not in misspelt.values():
                want = f"{self.name}: {{{name}: ...}}"
                yield Fault(what=f"missing field {name!r}", written=self.written, want=want)

    def build(self, g: Builder, x: str) -> str:
        assert self.drawing, "the arch gives every drawn block its drawing"
        scope = {**self.drawing.fields, **self.values, "in": g.shape(x).c}
        made, last = {"input": x}, "input"
        for name, step in self.drawing.steps.items():
            try:
                reads = [made[read] for read in step.reads or (last,)]
                made[name] = g.add(name, op_from(step, scope), *reads)
            except SpecError as error:
                g.faults += error.under(f"{g.path}.{name}").placed(written=step.written).faults
                made[name] = UNKNOWN
            last = name
        return made[last]

    def scaled(self, ratio: Any, rounding: Any) -> Any:
        if ratio == 1:
            return self
        raise SpecError(
            f"{self.name} is drawn and cannot be scaled by width_ratio",
            written=self.written,
            got=f"width_ratio {ratio}",
            want="width_ratio: 1",
            fix="leave width_ratio out, and give widths in numbers",
        )


def op_from(step: Step, scope: dict[str, Any]) -> Op:
    """The op of a step, its `$names` filled in."""
    faults: list[Fault] = []
    fields: dict[str, Any] = {}
    for name, value in step.fields.items():
        try:
            fields[name] = filled(value, scope)
        except SpecError as error:
            faults += error.under(name).faults
    try:
        if not faults:
            op: Op = adapter(step.op).validate_python(fields)
            return op
    except ValidationError as error:
        raise spec_error(error, OPS_BY_KEY[step.op], fields) from None
    raise SpecError(faults)


def faults_of_fields(step: Step, parameters: tuple[str, ...]) -> Iterator[Fault]:
    """What is wrong with a step's fields whatever its parameters are."""
    known = [field.name for field in dataclasses.fields(OPS_BY_KEY[step.op])]
    plain = {name: value for name, value in step.fields.items() if name not in known or not [*sums_in(value)]}
    for name, value in step.fields.items():
        try:
            for text in sums_in(value):
                for parameter in names_in(text):
                    named(parameter, dict.fromkeys(parameters))
        except SpecError as error:
            yield from error.under(name).faults
    try:
        adapter(step.op).validate_python(plain)
    except ValidationError as error:
        for fault in spec_error(error, OPS_BY_KEY[step.op], plain).faults:
            if not (fault.what.startswith("missing field") and fault.at in step.fields):
                yield fault


@lru_cache
def adapter(op: str) -> TypeAdapter[Any]:
    """Checks the fields of an op that comes from data."""
    return TypeAdapter(OPS_BY_KEY[op])
