"""The smallest spec in which a word stands: its fields filled in by their types, and what must come before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from archdsl.blocks import Block
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch, Head, Transform
from archdsl.ops import Op, key_of
from archdsl.report.explanation.example_data import (
    BEFORE,
    BY_TYPE,
    BY_WORD,
    CLASSIFIER,
    CLIP,
    CLIPS,
    CONV,
    HEADS_TRIED,
    NUMBERS,
    STEPS,
    WHOLE_SPECS,
    Data,
)
from archdsl.report.explanation.json_schema import model_schema, op_schema
from archdsl.spec.base import read_model


class WordExample(NamedTuple):
    """Text that can be run, and in which form it is."""

    form: str
    text: str
    plan: Plan | None = None
    place: str = ""
    """The address of the word in the plan."""


WordKind = type[Op] | type[Block] | type[Head] | type[Transform]


def spec(stages: list[Any], head: Data, **more: Any) -> Data:
    """A spec of one stage."""
    stage = stages[0] if len(stages) == 1 else stages
    return {"name": "example", "clip": CLIP, **more, "pathways": {"main": {"stages": {"stage": stage}}}, "head": head}


def plan_or_none(data: Data) -> Plan | None:
    """The plan of a spec; None where it cannot be."""
    try:
        return compile(read_model(Arch, data))
    except SpecError:
        return None


def filled_in(kind: WordKind, number: int) -> Data | None:
    """The fields of a class that must be given; None where a type does not say what may stand there."""
    made = schema_of(kind)
    given = dict(BY_WORD.get(key_of(kind), {}))
    given |= {
        name: value_of_type(name, made["properties"][name], number)
        for name in made.get("required", ())
        if name not in given
    }
    return None if None in given.values() else given


def schema_of(kind: WordKind) -> Data:
    """The schema of an op's fields, or of a class of the language."""
    return op_schema(kind) if issubclass(kind, Op) else model_schema(kind, {})


def value_of_type(name: str, inner: Mapping[str, Any], number: int) -> Any:
    """A value of a type."""
    if (name, inner.get("type")) in BY_TYPE:
        return BY_TYPE[name, inner["type"]]
    if inner.get("$ref") == "#/$defs/Chain":
        return [CONV]
    if "enum" in inner:
        return inner["enum"][0]
    if "anyOf" in inner:
        values = (value_of_type(name, option, number) for option in inner["anyOf"])
        return next((value for value in values if value is not None), None)
    match inner.get("type"):
        case "integer":
            return max(min(number, inner.get("maximum", number)), inner.get("minimum", number))
        case "number":
            return max(1, inner.get("minimum", 1))
        case "array" if "prefixItems" in inner:
            return [3 if name == "kernel" and i else 1 for i, _ in enumerate(inner["prefixItems"])]
        case "array":
            return [value_of_type(name, inner.get("items", {}), number)]
    return None


def candidate_specs(kind: WordKind) -> Iterator[Data]:
    """Specs in which a block, op, transform or head stands, the simplest first."""
    if key_of(kind) in WHOLE_SPECS and not issubclass(kind, Op):
        yield WHOLE_SPECS[key_of(kind)]
    for number in NUMBERS:
        fields = filled_in(kind, number)
        if fields is None:
            return
        use: Any = {key_of(kind): fields} if fields else key_of(kind)
        if issubclass(kind, Head):
            yield from (spec(before or [CONV], {key_of(kind): fields}) for before in BEFORE)
        elif issubclass(kind, Transform):
            yield from across(use)
        elif issubclass(kind, Block):
            clip = CLIPS.get(key_of(kind), CLIP)
            yield from (spec([*before, use], head, clip=clip) for before, head in product(BEFORE, HEADS_TRIED))
        else:
            yield from (step_of(kind, fields, before, head) for before, head in product(BEFORE, HEADS_TRIED))


def step_of(kind: type[Op], fields: Data, before: list[Any], head: Data) -> Data:
    """An op as the step of a drawn block."""
    steps, reads = STEPS.get(key_of(kind), ({}, ["input"] * (2 if kind.reads is None else kind.reads)))
    drawing = {"steps": {**steps, "it": {key_of(kind): fields, **({} if reads == ["input"] else {"reads": reads})}}}
    clip = CLIPS.get(key_of(kind), CLIP)
    return spec([*before, {"drawn": {}}], head, clip=clip, blocks={"drawn": drawing})


def across(transform: Any) -> Iterator[Data]:
    """Two pathways, the fast one's end brought into the slow one's time, and the other way."""
    for source, target, after, merge in product(
        ("fast", "slow"), ("slow", "fast"), ("stem", "res2"), ("concat", "sum")
    ):
        if source != target:
            edge = {"source": source, "target": target, "after": after, "transform": transform, "merge": merge}
            stages = {"stem": CONV, "res2": CONV}
            for slow in ({"every": 4, "stages": stages}, {"stages": stages}):
                pathways = {"slow": slow, "fast": {"stages": stages}}
                yield {"name": "example", "clip": CLIP, "pathways": pathways, "edges": [edge], "head": CLASSIFIER}


@cache
def example_of(kind: WordKind) -> tuple[Data, Plan] | None:
    """The simplest spec with it that compiles, and its plan."""
    for data in candidate_specs(kind):
        if plan := plan_or_none(data):
            return data, plan
    return None
