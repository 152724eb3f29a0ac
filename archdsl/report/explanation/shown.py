"""The example of a word as text that can be run, and what it does and costs there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from archdsl.blocks import Block
from archdsl.catalog import SHELF
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Head, Transform
from archdsl.language.paths import change
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import data_to_yaml
from archdsl.ops import Cost, Op, Shape, key_of
from archdsl.ops.seeded_draw import SeededDraw
from archdsl.recipes import recipe
from archdsl.report.explanation.example_data import (
    CLASSIFIER,
    CLIP,
    CONV,
    REWRITES,
    TIED,
    WHOLE_SPECS,
    WITH_FIELD,
    Data,
)
from archdsl.report.explanation.examples import WordKind, example_of, plan_or_none, schema_of, spec, value_of_type
from archdsl.report.explanation.usage import archs_of_zoo, has_kind
from archdsl.report.explanation.words import Word, all_words
from archdsl.spec.base import Written


class WordExample(NamedTuple):
    """Text that can be run, and in which form it is."""

    form: str
    text: str
    plan: Plan | None = None
    place: str = ""
    """The address of the word in the plan."""
    alone: Measured | None = None
    """Of an op outside a network."""


class Measured(NamedTuple):
    """What a word does in its example."""

    reads: tuple[Shape, ...]
    gives: Shape
    cost: Cost


def example(word: Word) -> WordExample | None:
    """The smallest example of a word; None for a value, which stands in that of its field."""
    match word.kind:
        case "block" | "op" | "transform" | "head":
            return of_kind(word.thing)
        case "merge":
            return of_merge(word.name)
        case "convention":
            return WordExample("console", f"archdsl count slow_4x16_r50 --convention {word.name}")
        case "rewrite":
            return WordExample("python", rewritten(word.name))
        case "task":
            return WordExample("recipe", f"extends: smoke\nset: {{task: {word.name}}}")
        case "frame choice":
            return in_pathway(word.name)
        case "recipe":
            return WordExample("console", "archdsl recipes slowfast_k400")
        case "field" | "key" | "part":
            return of_field(word)
    return None


def rewritten(name: str) -> str:
    """A rewrite applied to a model of the zoo."""
    call = REWRITES[name]
    blocks = [f"from archdsl.blocks import {name}" for name in ("Adapter", "TimeShift") if f"{name}(" in call]
    return "\n".join(
        ["from archdsl import load", *blocks, f"from archdsl.rewrites import {name}", "", f"arch = {call}"]
    )


def of_kind(kind: WordKind) -> WordExample | None:
    """Of a block, an op, a transform or a head."""
    found = example_of(kind)  # type: ignore[arg-type]  # mypy asks instances whether a class has a hash
    if found:
        return WordExample("yaml", data_to_yaml(found[0]), found[1], place_in(kind, found[1]))
    return op_alone_in_python(kind) if issubclass(kind, Op) else of_zoo(kind)


def of_zoo(kind: WordKind) -> WordExample | None:
    """The first model of the zoo that has it."""
    models = (name for archs in archs_of_zoo().values() for name, arch in archs.items() if has_kind(arch, kind))
    name = next(models, None)
    return WordExample("console", f"archdsl show {name}") if name else None


def op_alone_in_python(kind: type[Op]) -> WordExample | None:
    """An op that stands within a head or a block only: itself, and the shape it gives."""
    for seed in range(100):
        try:
            op, shapes = kind.example(SeededDraw(Random(seed)))
            alone = Measured(shapes, op.out(*shapes), op.cost(*shapes))
        except SpecError:
            continue
        read = ", ".join(map(repr, shapes))
        lines = ["from archdsl.ops import *", "", f"op = {op!r}", f"shape = op.out({read})"]
        return WordExample("python", "\n".join(lines), alone=alone)
    return None


def place_in(kind: WordKind, plan: Plan) -> str:
    """Where a kind stands in the plan of its example."""
    if issubclass(kind, Head):
        return "head"
    if issubclass(kind, Transform):
        edge = plan.arch.edges[0]
        return next(address for address in plan.within if address.startswith("edges.") and edge.label in address)
    last = next(address for address in reversed([*plan.within]) if re.fullmatch(r"main\.stage\.\d+", address))
    return last if issubclass(kind, Block) else f"{last}.it"


def measured(shown: WordExample) -> Measured | None:
    """What a word reads and gives in its example, and what it costs there; None where nothing of it runs."""
    if shown.alone:
        return shown.alone
    plan, inner = shown.plan, shown.plan.within.get(shown.place, []) if shown.plan else []
    if plan is None or not inner:
        return None
    reads = dict.fromkeys(read for address in inner for read in plan.graph.nodes[address].reads if read not in inner)
    return Measured(tuple(plan.shapes[read] for read in reads), plan.shapes[inner[-1]], plan.cost_of(shown.place))


def of_merge(name: str) -> WordExample | None:
    """Two pathways that meet by it."""
    if name == "interleave":
        return WordExample("yaml", data_to_yaml(WHOLE_SPECS["warp"]))
    edge = {"source": "left", "target": "right", "after": "stage", "merge": name}
    for right in (CONV, [CONV, {"max_pool": {"kernel": [1, 2, 2], "stride": [1, 2, 2]}}]):
        pathways = {"left": {"stages": {"stage": CONV}}, "right": {"stages": {"stage": right}}}
        data = {"name": "example", "clip": CLIP, "pathways": pathways, "edges": [edge], "head": CLASSIFIER}
        if plan_or_none(data):
            return WordExample("yaml", data_to_yaml(data))
    return None


def in_pathway(name: str) -> WordExample:
    """A pathway with a field."""
    data = spec([CONV], CLASSIFIER)
    data["pathways"]["main"] = {**WITH_FIELD[name], **data["pathways"]["main"]}
    return WordExample("yaml", data_to_yaml(data))


def of_field(word: Word) -> WordExample | None:
    """Of a field or another key of a file."""
    if word.name == "tied_to":
        return WordExample("yaml", data_to_yaml(TIED))
    if word.name in WITH_FIELD and "pathway" in word.owners:
        return in_pathway(word.name)
    for path in sorted((SHELF / "specs" / "primer").glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [line for line in lines if re.search(rf"(?<![\w.]){word.name}:(\s|$)", line) and line[0] != "#"]
        if found:
            return WordExample("primer", f"# specs/primer/{path.name}\n{found[0]}")
    return of_recipe(word) or of_owner(word)


def of_recipe(word: Word) -> WordExample | None:
    """A field of a recipe, or of a part that every recipe has, set to its default."""
    for owner in word.owners:
        kind = Recipe if owner == "recipe" else getattr(Recipe.model_fields.get(owner), "annotation", None)
        field = kind.model_fields.get(word.name) if isinstance(kind, type) and issubclass(kind, Written) else None
        if field and isinstance(field.default, int | float | str | bool):
            path = word.name if owner == "recipe" else f"{owner}.{word.name}"
            if not settable(path, field.default):
                continue
            return WordExample("recipe", data_to_yaml({"extends": "smoke", "set": {path: field.default}}).strip())
    return None


def settable(path: str, value: Any) -> bool:
    """Whether a field of the smallest recipe may be written."""
    try:
        change(recipe("smoke"), path, value)
    except SpecError:
        return False
    return True


def of_owner(word: Word) -> WordExample | None:
    """The example of a block, op, transform or head that has the field, the field set."""
    for owner in word.owners:
        for known in all_words():
            usable = known.name == owner and known.kind in ("block", "op", "transform", "head")
            if usable and (shown := with_field(known.thing, word.name)):
                return shown
    return None


def with_field(kind: WordKind, name: str) -> WordExample | None:
    """The example of a kind with one of its fields written, at its default or at a value of its type."""
    found = example_of(kind)  # type: ignore[arg-type]  # mypy asks instances whether a class has a hash
    made: Mapping[str, Any] = schema_of(kind)["properties"]
    if not found or name not in made:
        return None
    for value in (made[name].get("default"), value_of_type(name, made[name], 2)):
        if value is not None:
            data = replaced(found[0], key_of(kind), name, value)
            if plan_or_none(data):
                return WordExample("yaml", data_to_yaml(data))
    return WordExample("yaml", data_to_yaml(found[0]))


def replaced(data: Any, key: str, name: str, value: Any) -> Any:
    """Data in which a kind has one more field."""
    if isinstance(data, list):
        return [replaced(part, key, name, value) for part in data]
    if data == key:
        return {key: {name: value}}
    if not isinstance(data, dict):
        return data
    made: Data = {k: replaced(v, key, name, value) for k, v in data.items()}
    if isinstance(made.get(key), dict) and key not in ("clip",):
        made[key] = {**made[key], name: value}
    return made
