"""The fields of a block, an op, a head...: type, default and description, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from archdsl.ops import Op, snake_case
from archdsl.report.explanation.json_schema import model_schema, op_schema
from archdsl.spec.fixes import flow_yaml

Inner = Mapping[str, Any]
"""A part of a JSON Schema."""
REQUIRED = "must be given"
"""What stands in place of a default."""
NOUNS = {"boolean": "true or false", "string": "text", "integer": "whole number", "number": "number", "null": "null"}
BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
FRACTION = "number or fraction such as 1/2"


class WordField(NamedTuple):
    """A field in words."""

    name: str
    type: str
    default: str
    about: str
    values: tuple[str, ...] = ()
    """Texts that it offers by name."""


def fields_in_words(kind: type[Any]) -> tuple[WordField, ...]:
    """The fields of an op, or of a class of the language."""
    defs: dict[str, Any] = {}
    if issubclass(kind, Op):
        made = op_schema(kind)
    elif issubclass(kind, BaseModel):
        made = model_schema(kind, defs)
    else:
        return ()
    required = made.get("required", ())
    return tuple(
        WordField(
            name,
            type_in_words(inner, defs),
            REQUIRED if name in required else default_in_words(inner),
            inner.get("description") or about_reference(inner, defs),
            tuple(texts_offered(inner, defs)),
        )
        for name, inner in made.get("properties", {}).items()
    )


def texts_offered(inner: Any, defs: Inner) -> Iterator[str]:
    """Texts among which a value is chosen, anywhere in it."""
    if isinstance(inner, list):
        for part in inner:
            yield from texts_offered(part, defs)
    if not isinstance(inner, Mapping):
        return
    yield from (value for value in inner.get("enum", [inner.get("const")]) if isinstance(value, str))
    known = defs.get(str(inner.get("$ref", "")).rpartition("/")[2], {})
    yield from texts_offered(known, defs) if "enum" in known else ()
    for key in ("anyOf", "items", "prefixItems"):
        yield from texts_offered(inner.get(key), defs)


def about_reference(inner: Inner, defs: Inner) -> str:
    """The first line of what a field holds, where the field itself says nothing."""
    text = str(defs.get(str(inner.get("$ref", "")).rpartition("/")[2], {}).get("description", ""))
    return text.partition("\n")[0]


def default_in_words(inner: Inner) -> str:
    """A default as YAML; of a part of several fields that which it is."""
    default = inner.get("default")
    if isinstance(default, Mapping):
        return str(default["kind"]) if "kind" in default else "its defaults" if default else "{}"
    return flow_yaml(default)


def type_in_words(inner: Inner, defs: Inner) -> str:
    """`whole number from 1`, `same, valid or tf_same`, `list of 3: whole number`."""
    return " or ".join(dict.fromkeys(types_in_words(inner, defs))) or "anything"


def types_in_words(inner: Inner, defs: Inner) -> Iterator[str]:
    """Each type that a value may have, but null."""
    if reference := inner.get("$ref"):
        name = str(reference).rpartition("/")[2]
        known = defs.get(name, {})
        yield type_in_words(known, defs) if "enum" in known else snake_case(name)
    elif "enum" in inner or "const" in inner:
        yield " | ".join(map(flow_yaml, inner.get("enum", [inner.get("const")])))
    elif "anyOf" in inner:
        yield from union_in_words(inner["anyOf"], defs)
    elif isinstance(inner.get("type"), list):
        yield "any value"
    elif inner.get("type") == "array":
        yield array_in_words(inner, defs)
    elif inner.get("type") == "object":
        values = [inner.get("additionalProperties"), *inner.get("patternProperties", {}).values()]
        held = next((value for value in values if isinstance(value, Mapping)), {})
        yield f"{{name: {type_in_words(held, defs)}}}"
    elif inner.get("type") not in (None, "null"):
        bounds = [f"{word} {inner[key]}" for key, word in BOUNDS.items() if key in inner]
        yield " ".join([NOUNS[inner["type"]], *bounds])


def union_in_words(options: list[Inner], defs: Inner) -> Iterator[str]:
    """Types one of which a value has; a number as a fraction or not is one."""
    texts = [option for option in options if option.get("type") == "string" and {"pattern", "format"} & set(option)]
    if texts and any(option.get("type") == "number" for option in options):
        yield FRACTION
        options = [o for o in options if o not in texts and o.get("type") != "number"]
    for option in options:
        yield from types_in_words(option, defs)


def array_in_words(inner: Inner, defs: Inner) -> str:
    """A list; of t, h and w where it has three parts."""
    parts = inner.get("prefixItems")
    if not parts:
        return f"list of {type_in_words(inner.get('items', {}), defs)}"
    held = " and ".join(dict.fromkeys(type_in_words(part, defs) for part in parts))
    return f"[t, h, w], each {held}" if len(parts) == 3 else f"list of {len(parts)}: {held}"
