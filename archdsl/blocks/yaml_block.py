"""A block written in YAML: a small named graph of ops and blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from math import isfinite
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema, field_validator, model_validator

import archdsl.blocks as blocks  # BLOCKS is read when a spec is, after every block is defined
from archdsl.blocks.arithmetic import names_in, sums_in, widths_in
from archdsl.blocks.base import Block, Rounding, ones_like, widened
from archdsl.blocks.names import Name
from archdsl.blocks.single_key import kinds_by_key
from archdsl.blocks.step_fields import OwnFields, Roles, scaled_fields, strides_of, widths_of, with_role
from archdsl.blocks.steps import Step, no_step
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.graph import UNKNOWN, Builder, Endless
from archdsl.spec.base import Written
from archdsl.spec.budget import MOST_STEPS
from archdsl.spec.lines import Lines


def as_parameter(value: Any) -> Any:
    """A parameter's value, lists as tuples, or ValueError."""
    if isinstance(value, list | tuple):
        return tuple([as_parameter(part) for part in value])
    if isinstance(value, Mapping):
        return {key: as_parameter(part) for key, part in value.items()}
    if not (value is None or isinstance(value, bool | int | float | str)) or (
        isinstance(value, float) and not isfinite(value)
    ):
        raise ValueError("a number, text, true, false, null, or lists and mappings of these")
    return value


Value = Annotated[
    Any,
    BeforeValidator(as_parameter),
    WithJsonSchema({"type": ["number", "string", "boolean", "null", "array", "object"]}),
]
"""What a parameter of a drawn block may be."""


class Drawing(Written):
    """What a drawn block is: its parameters with defaults, and its steps in order. The last one is the result."""

    fields: dict[Name, Value] = Field({}, description="parameters; null where a value must be given")
    steps: dict[Name, Step] = Field(min_length=1, max_length=MOST_STEPS, description="ops and blocks by name, in order")

    @field_validator("steps", mode="before")
    @classmethod
    def _bare_names(cls, steps: Any) -> Any:
        """A step that is only a name keeps its line."""
        if not isinstance(steps, Lines):
            return steps
        lines = steps.keys_written
        made = {n: Lines({v: None}, lines[n], {}) if isinstance(v, str) else v for n, v in steps.items()}
        return Lines(made, steps.written, lines)

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
            found = step.faults((*self.fields, "in"))
            faults += [fault.under(f"steps.{name}").placed(None, step.written) for fault in found]
            before.append(name)
        if faults:
            raise SpecError(faults)
        return self

    def in_role(self, own: OwnFields, drawn: Roles, names: Callable[[str], list[str]]) -> tuple[str, ...]:
        """Parameters that stand where fields of steps have a role; `names` are those of a sum that have it then."""
        found: set[str] = set()
        for step in self.steps.values():
            with_role(step.op, step.fields, own, drawn, lambda v: found.update(n for t in sums_in(v) for n in names(t)))
        return tuple(name for name in self.fields if name in found)

    def scaled(self, ratio: Fraction, rounding: Rounding, widths: Roles, own: tuple[str, ...]) -> Drawing:
        """The drawing with numbers of channels multiplied: those in steps, and the defaults of `own` fields."""
        fields = {n: times(v, ratio, rounding) if n in own else v for n, v in self.fields.items()}
        steps = {}
        for name, step in self.steps.items():
            try:
                made = scaled_fields(step.op, step.fields, widths, lambda v: times(v, ratio, rounding))
            except SpecError as error:
                raise error.under(f"steps.{name}").placed(written=step.written) from None
            steps[name] = step.model_copy(update={"fields": made})
        return self.model_copy(update={"fields": fields, "steps": steps})


def times(value: Any, ratio: Fraction, rounding: Rounding) -> Any:
    """A number of channels, or each in a list, multiplied. Raises SpecError for a sum with a number on its own."""
    if isinstance(value, list | tuple):
        return tuple([times(part, ratio, rounding) for part in value])
    for text in sums_in(value):
        widths_in(text)
    return widened(value, ratio, rounding) if isinstance(value, int) and value > 0 else value


class Definitions(Written):
    """The blocks drawn in an arch, and what their parameters are for, which hangs on one another."""

    drawings: dict[Name, Drawing] = Field(description="drawn blocks by name")
    _strides: Roles = PrivateAttr(default_factory=dict)
    _widths: Roles = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        self._strides = self.roles(strides_of, names_in)
        self._widths = self.roles(widths_of, leading)

    def roles(self, own: OwnFields, names: Callable[[str], list[str]]) -> Roles:
        """Drawn block -> its parameters in a role, those first that others are made of."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.drawings, ())
        for name in self.inner_first():
            found[name] = self.drawings[name].in_role(own, found, names)
        return found

    def inner_first(self) -> list[str]:
        """The drawings in an order in which each stands behind those it uses; those in a ring in any."""
        order: dict[str, None] = {}
        waiting = [*reversed(self.drawings)]
        entered: set[str] = set()
        while waiting:
            name = waiting[-1]
            inner = [] if name in entered else [n for n in uses(self.drawings[name]) if n in self.drawings]
            entered.add(name)
            fresh = [n for n in inner if n not in entered]
            waiting += fresh
            if not fresh:
                order[waiting.pop()] = None
        return list(order)

    def rings(self) -> Iterator[tuple[str, str]]:
        """(drawing, one that it uses though it is made of it)."""
        before: set[str] = set()
        for name in self.inner_first():
            yield from ((name, inner) for inner in uses(self.drawings[name]) if inner in self.drawings.keys() - before)
            before.add(name)

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Definitions:
        """All of them with numbers of channels multiplied."""
        drawings = {}
        for name, drawing in self.drawings.items():
            try:
                drawings[name] = drawing.scaled(ratio, rounding, self._widths, self._widths[name])
            except SpecError as error:
                raise error.under(f"blocks.{name}") from None
        made = self.model_copy(update={"drawings": drawings})
        return made


def leading(text: str) -> list[str]:
    """The parameters of a width that count channels, where that can be told."""
    try:
        return widths_in(text)
    except SpecError:
        return []


def uses(drawing: Drawing) -> dict[str, None]:
    """Names that steps use as ops or blocks, and all names within their fields."""
    return dict.fromkeys(name for step in drawing.steps.values() for name in (step.op, *keys_in(step.fields)))


def keys_in(value: Any) -> Iterator[str]:
    """Every key anywhere in a value."""
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from keys_in(part)
    yield from value if isinstance(value, Mapping) else ()


class Drawn(Block):
    """One use of a drawn block. In YAML it is written like any other: `{my_block: {channels: 64}}`."""

    name: str = Field(description="which drawing")
    values: dict[str, Value] = Field({}, description="its parameters")
    definitions: Definitions | None = Field(None, description="what is drawn; the arch's `blocks` gives it")
    later: bool = Field(False, description="whether it is the second, third... of a repeat")

    @property
    def drawing(self) -> Drawing | None:
        """Its definition."""
        return self.definitions.drawings.get(self.name) if self.definitions else None

    @property
    def first_only(self) -> tuple[str, ...]:  # type: ignore[override]
        """The parameters that its steps stride by."""
        return self.definitions._strides[self.name] if self.definitions else ()

    def defined(self, definitions: Definitions) -> Drawn:
        """This block with its definition; itself where it has that, or there is none."""
        if self.name not in definitions.drawings or (self.definitions == definitions and not self.later):
            return self
        made = self.model_copy(update={"definitions": definitions, "later": False})
        return made.again() if self.later else made

    def again(self) -> Drawn:
        if self.drawing is None:
            return self.model_copy(update={"later": True})
        given = {**self.drawing.fields, **self.values}
        ones = {name: ones_like(given[name]) for name in self.first_only}
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
        if self.definitions is None or self.drawing is None:
            raise no_block(self, ())
        if faults := list(self.faults()):
            raise SpecError(faults)
        scope = {**self.drawing.fields, **self.values, "in": g.shape(x).c}
        made, last = {"input": x}, "input"
        for name, step in self.drawing.steps.items():
            try:
                reads = [made[read] for read in step.reads or (last,)]
                made[name] = step.add(g, name, scope, reads, self.define)
            except Endless:
                raise
            except SpecError as error:
                g.faults += error.under(f"{g.path}.{name}").placed(written=step.written).faults
                made[name] = UNKNOWN
            last = name
        return made[last]

    def define(self, block: Block) -> Block:
        """A block of a step, with definitions for what is drawn in it."""
        assert self.definitions, "only what is defined is built"
        made: Block = defined(block, self.definitions)
        if isinstance(made, Drawn) and made.drawing is None:
            raise no_step(made.name, self.definitions.drawings)
        return made

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Self:
        if ratio == 1 or self.definitions is None:
            return self
        widths = self.definitions._widths[self.name]
        values = {name: times(v, ratio, rounding) if name in widths else v for name, v in self.values.items()}
        return self.model_copy(update={"values": values, "definitions": self.definitions.scaled(ratio, rounding)})


def no_block(block: Drawn, names: Iterable[str]) -> SpecError:
    """The error of a name that is neither built in nor drawn."""
    known = [*kinds_by_key(blocks.BLOCKS), *names]
    near = did_you_mean(block.name, known)
    return SpecError(f"no block {block.name!r}", written=block.written, got=block.name, want=listed(known), fix=near)


def defined(thing: Any, definitions: Definitions) -> Any:
    """A part of an arch with a definition for every drawn block; what has none is the same object."""
    if isinstance(thing, Drawn):
        return thing.defined(definitions)
    if isinstance(thing, Mapping):
        made = {name: defined(value, definitions) for name, value in thing.items()}
        return made if any(made[name] is not value for name, value in thing.items()) else thing
    if isinstance(thing, tuple):
        parts = [defined(part, definitions) for part in thing]
        return tuple(parts) if any(part is not old for part, old in zip(parts, thing)) else thing
    if isinstance(thing, Written):
        fields = {name: value for name, value in thing if isinstance(value, Mapping | tuple | Block)}
        found = {name: defined(value, definitions) for name, value in fields.items()}
        changed = {name: value for name, value in found.items() if value is not fields[name]}
        return thing.model_copy(update=changed) if changed else thing
    return thing
