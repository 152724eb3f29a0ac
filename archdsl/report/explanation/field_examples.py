"""The example of a field, a key or a part of a file: a spec, a recipe or a card in which it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from archdsl.catalog import SHELF
from archdsl.errors import SpecError
from archdsl.language.paths import change
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import data_to_yaml
from archdsl.ops import key_of
from archdsl.recipes import recipe
from archdsl.report.explanation.example_data import CLASSIFIER, CONV, WITH_FIELD, Data
from archdsl.report.explanation.example_fields import (
    CARD,
    CARD_PARTS,
    OPTIONS,
    RECIPE_FIELDS,
    RECIPES,
    SPECS,
)
from archdsl.report.explanation.examples import (
    WordExample,
    WordKind,
    example_of,
    plan_or_none,
    schema_of,
    spec,
    value_of_type,
)
from archdsl.report.explanation.words import Word, all_words
from archdsl.spec.base import Written
from archdsl.spec.fixes import flow_yaml

SPEC_PARTS = ("arch", "clip", "pathway", "stage", "edge", "drawing", "step")
PRIMER_LINES = 6
"""Most lines of a primer file that are shown of a field."""


def of_field(word: Word) -> WordExample | None:
    """Of a field, a part or another key of a file."""
    if {word.name, *word.owners} & {*CARD_PARTS}:
        return WordExample("card", data_to_yaml(CARD))
    if word.name in SPECS and not recipe_alone(word):
        return WordExample("yaml", data_to_yaml(SPECS[word.name]))
    if word.name in WITH_FIELD and "pathway" in word.owners:
        return in_pathway(word.name)
    if (word.kind == "key" or {*word.owners} & {*SPEC_PARTS}) and (found := of_primer(word.name)):
        return found
    return of_owner(word) or of_recipe(word) or of_task(word)


def recipe_alone(word: Word) -> bool:
    """Whether recipes alone have a field."""
    return bool(word.owners) and all(owner in RECIPES for owner in word.owners)


def in_pathway(name: str) -> WordExample:
    """A pathway with a field."""
    data = spec([CONV], CLASSIFIER)
    data["pathways"]["main"] = {**WITH_FIELD[name], **data["pathways"]["main"]}
    return WordExample("yaml", data_to_yaml(data))


def of_primer(name: str) -> WordExample | None:
    """Where a key stands first in the primer's files, and what is written below it."""
    for path in sorted((SHELF / "specs" / "primer").glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for i, line in enumerate(lines):
            if re.search(rf"(?<![\w.]){name}:(\s|$)", line) and line[0] != "#":
                shown = [line, *lines_below(lines[i + 1 :], len(line) - len(line.lstrip()))]
                return WordExample("primer", "\n".join([f"# specs/primer/{path.name}", *shown[:PRIMER_LINES]]))
    return None


def lines_below(lines: list[str], indent: int) -> list[str]:
    """Lines that are indented further, or are items of a list, up to the first that is not."""
    deeper = (" " * (indent + 1), f"{' ' * indent}- ")
    return [*takewhile(lambda line: line.startswith(deeper), lines)]


def of_recipe_part(name: str) -> WordExample:
    """A part of a recipe, set in the smallest one; the recipe itself, whole."""
    data = RECIPES[name]
    return WordExample("recipe", data_to_yaml(data).strip()) if name == "recipe" else changed_smoke(data)


def changed_smoke(data: Data) -> WordExample:
    """The smallest recipe with fields set."""
    return WordExample("recipe", data_to_yaml({"extends": "smoke", "set": data}).strip())


def of_recipe(word: Word) -> WordExample | None:
    """A field of a recipe, or of a part that every recipe has; where nothing else is better, set to its default."""
    if not {*word.owners} & {*RECIPES}:
        return None
    if word.name in RECIPE_FIELDS or word.name in RECIPES:
        return changed_smoke(RECIPE_FIELDS.get(word.name) or RECIPES[word.name])
    for owner in word.owners:
        kind = Recipe if owner == "recipe" else getattr(Recipe.model_fields.get(owner), "annotation", None)
        field = kind.model_fields.get(word.name) if isinstance(kind, type) and issubclass(kind, Written) else None
        if field and isinstance(field.default, int | float | str | bool):
            path = word.name if owner == "recipe" else f"{owner}.{word.name}"
            if settable(path, field.default):
                return changed_smoke({path: field.default})
    return None


def settable(path: str, value: Any) -> bool:
    """Whether a field of the smallest recipe may be written."""
    try:
        change(recipe("smoke"), path, value)
    except SpecError:
        return False
    return True


def of_task(word: Word) -> WordExample | None:
    """A field of a task, at its default or at a value that says more."""
    for known in all_words():
        if known.kind == "task" and known.name in word.owners:
            (field,) = (field for field in known.fields if field.name == word.name)
            value = flow_yaml(OPTIONS[word.name]) if word.name in OPTIONS else field.default
            task = f"{{{known.name}: {{{word.name}: {value}}}}}"
            return WordExample("recipe", f"extends: smoke\nset: {{task: {task}}}")
    return None


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
