"""What the JSON Schema of specs says about a path: the schemas that hold there, the keys they know, the values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from archdsl.editor.outline import Outline, Path
from archdsl.report.explanation.json_schema import Schema, recipe_schema, schema
from archdsl.spec.fixes import flow_yaml

MOST_FOLLOWED = 40
"""References followed in a row: a schema that refers to itself ends there."""


@cache
def whole_schema(recipe: bool) -> Schema:
    """The schema of specs, or of recipes."""
    return recipe_schema() if recipe else schema()


def schemas_at(path: Path, outline: Outline, recipe: bool) -> list[Schema]:
    """The schemas, references followed, that hold for what stands at a path of a document."""
    root = whole_schema(recipe)
    found = [root]
    for i, part in enumerate(path):
        below = [inner for one in found for inner in alternatives(one, root, outline.names(*path[:i]))]
        found = [inner for one in below for inner in step(one, part)]
    return [inner for one in found for inner in alternatives(one, root, outline.names(*path))]


def alternatives(one: Schema, root: Schema, keys: list[str], depth: int = 0) -> Iterator[Schema]:
    """A schema and those that it refers to or chooses from, as far as the keys that are written allow."""
    if depth > MOST_FOLLOWED:
        return
    yield one
    chosen = [one[word] for word in ("allOf", "anyOf", "oneOf") if word in one]
    below = [inner for several in chosen for inner in several]
    if "$ref" in one:
        below.append(resolved(one["$ref"], root))
    if "if" in one:
        below += [one[word] for word in branches(one["if"], keys) if isinstance(one.get(word), dict)]
    for inner in below:
        yield from alternatives(inner, root, keys, depth + 1)


def branches(condition: Schema, keys: list[str]) -> tuple[str, ...]:
    """Which of `then` and `else` may hold: by the keys that are written, both where these do not tell."""
    required = condition.get("required")
    if required:
        return ("then",) if set(required) <= set(keys) else ("else",)
    if condition.get("type") in ("string", "array") and keys and not keys[0].isdigit():
        return ("else",)
    return ("then", "else")


def resolved(reference: str, root: Schema) -> Schema:
    """What a reference leads to."""
    place: Any = root
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def step(one: Schema, part: str) -> Iterator[Schema]:
    """The schemas of what stands below a key, or at a place in a list."""
    if part.isdigit() and isinstance(one.get("items"), dict):
        yield one["items"]
    known = one.get("properties", {})
    if part in known:
        yield known[part]
        return
    fitting = [inner for pattern, inner in one.get("patternProperties", {}).items() if re.search(pattern, part)]
    yield from fitting
    if not fitting and isinstance(one.get("additionalProperties"), dict):
        yield one["additionalProperties"]


def keys_of(found: list[Schema]) -> dict[str, Schema]:
    """The keys that schemas know, each with its own schema."""
    keys: dict[str, Schema] = {}
    for one in found:
        for key, inner in one.get("properties", {}).items():
            keys.setdefault(key, inner)
    return keys


def values_of(found: list[Schema]) -> list[str]:
    """The words that may be a value."""
    words: list[str] = []
    for one in found:
        words += [*map(str, one.get("enum", ())), *([str(one["const"])] if "const" in one else [])]
        words += ["true", "false"] if one.get("type") == "boolean" else []
    return [word for word in dict.fromkeys(words) if word != "None"]


def described(one: Schema, recipe: bool) -> str:
    """What a schema says of its field: description, default, and what it takes."""
    root = whole_schema(recipe)
    every = list(alternatives(one, root, []))
    text = next((inner["description"] for inner in every if inner.get("description")), "")
    facts = []
    if one.get("default") not in (None, [], {}):
        facts.append(f"default: {flow_yaml(one['default'])}")
    if values := values_of(every):
        facts.append(f"one of: {', '.join(values[:20])}")
    return "\n\n".join(filter(None, (text, "; ".join(facts))))
