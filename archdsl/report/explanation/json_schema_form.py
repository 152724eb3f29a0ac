"""The form of a JSON Schema: titles that an editor shows, parts written once, and text of few lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from archdsl.ops import snake_case

Schema = dict[str, Any]
BESIDE_TYPE = ("title", "description", "default")
"""What stands beside a type."""
SHORTEST, LEAST = 60, 3
"""Letters, and how often it stands there, from which on a type is written once."""
SCHEMA_WIDTH = 120


def tidied(made: Schema) -> Schema:
    """A schema whose fields have their own names as titles, and whose repeated types stand under `$defs`."""
    title = made["title"]
    titled(made)
    made["title"] = title
    for name, inner in made["$defs"].items():
        inner["title"] = snake_case(name)
    repeated_once(made)
    made["$defs"] = dict(sorted(made["$defs"].items()))
    return made


def titled(value: Any) -> None:
    """Give every field its name as title: an editor shows the title of what is around a field that has none."""
    if isinstance(value, list):
        for inner in value:
            titled(inner)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("title"), str):
        del value["title"]
    for key, inner in value.items():
        if key in ("properties", "$defs", "patternProperties"):
            for name, held in inner.items():
                titled(held)
                if key == "properties" and isinstance(held, dict):
                    inner[name] = {"title": name, **held}
        elif key not in ("default", "enum", "const", "required"):
            titled(inner)


def fields_of_schema(value: Any) -> Iterator[tuple[Schema, str]]:
    """(the `properties` that hold it, name) of every field."""
    if isinstance(value, dict):
        for name in value.get("properties", {}) if isinstance(value.get("properties"), dict) else ():
            yield value["properties"], name
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from fields_of_schema(inner)


def type_of_field(field: Schema) -> str:
    """What a field takes, without its words, as text."""
    return json.dumps({key: value for key, value in field.items() if key not in BESIDE_TYPE}, sort_keys=True)


def repeated_once(made: Schema) -> None:
    """Move types that several fields have to `$defs`, under the name of the first field."""
    found = [(held, name) for held, name in fields_of_schema(made) if isinstance(held[name], dict)]
    counts = Counter(type_of_field(held[name]) for held, name in found)
    names: dict[str, str] = {}
    for held, name in found:
        text = type_of_field(held[name])
        if len(text) < SHORTEST or counts[text] < LEAST:
            continue
        if text not in names:
            own = "".join(part.capitalize() for part in name.split("_"))
            while own in made["$defs"] or own in names.values():
                own += "2"
            names[text] = own
        words = {key: value for key, value in held[name].items() if key in BESIDE_TYPE}
        held[name] = {**words, "$ref": f"#/$defs/{names[text]}"}
    made["$defs"] |= {own: json.loads(text) for text, own in names.items()}


def schema_text(value: Any, indent: str = "") -> str:
    """JSON in few lines: what fits on one line stands there, short parts side by side."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + len(indent) < SCHEMA_WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = f"{indent} "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {schema_text(held, inner)}" for key, held in value.items()]
    else:
        parts = [schema_text(held, inner) for held in value]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opened, *packed_lines(parts, inner), f"{indent}{closed}"])


def packed_lines(parts: list[str], indent: str) -> list[str]:
    """Parts in lines as full as they may be; one of several lines stands by itself."""
    lines: list[str] = []
    for i, part in enumerate(parts):
        text = part if i == len(parts) - 1 else f"{part},"
        room = lines and "\n" not in text and "\n" not in lines[-1] and len(lines[-1]) + len(text) < SCHEMA_WIDTH
        if room:
            lines[-1] += f" {text}"
        else:
            lines.append(f"{indent}{text}")
    return lines
