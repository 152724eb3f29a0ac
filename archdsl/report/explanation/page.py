"""What `archdsl explain` shows of a word, as a record and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from archdsl.report.explanation.fields import WordField
from archdsl.report.explanation.shown import Measured, example, measured
from archdsl.report.explanation.usage import blocks_with, models_with
from archdsl.report.explanation.words import Word
from archdsl.report.number_format import plural, shape_text, whole

PAGE_WIDTH = 110
MOST_OWNERS = 12


def word_record(word: Word) -> dict[str, Any]:
    """A word by name, for machines."""
    shown = example(word)
    found = measured(shown) if shown else None
    return {
        "word": word.name,
        "kind": word.kind,
        "about": word.about,
        "source": word.source,
        "fields": [field._asdict() for field in word.fields],
        "owners": list(word.owners),
        "example": None if shown is None else {"form": shown.form, "text": shown.text},
        "measured": None if found is None else measured_record(found),
        "blocks": blocks_with(word.thing) if word.kind == "op" else [],
        "models": models_with(word),
    }


def measured_record(found: Measured) -> dict[str, Any]:
    """Shapes and exact costs of a word in its example."""
    cost = found.cost
    return {
        "reads": [list(shape) for shape in found.reads],
        "gives": list(found.gives),
        "params": cost.params,
        "macs": cost.macs,
        "fvcore": cost.macs + cost.fvcore_extra,
        "activations": cost.activations,
    }


def word_text(word: Word, record: Mapping[str, Any]) -> str:
    """The page of a word."""
    parts = [
        f"{word.name}  ({word.kind}{of_owners(word)})",
        *(
            textwrap.fill(line, PAGE_WIDTH, initial_indent="  ", subsequent_indent="  ")
            for line in word.about.split("\n")
        ),
        f"  {word.source}" if word.source else "",
        fields_text(word),
        example_text(record),
        usage_text(record),
    ]
    return "\n".join(part for part in parts if part)


def of_owners(word: Word) -> str:
    """Whose field or value it is."""
    names = word.owners[:MOST_OWNERS]
    more = f" and {len(word.owners) - len(names)} more" if len(word.owners) > len(names) else ""
    return f" of {', '.join(names)}{more}" if names else ""


def fields_text(word: Word) -> str:
    """The fields, one a line: its name (of a field whose it is), its type, default, and what it is."""
    if not word.fields:
        return ""
    names = [", ".join(owners) for owners in word.owners_of_fields] or [field.name for field in word.fields]
    widths = [min(max(map(len, texts)), most) for texts, most in zip(columns(word, names), (24, 40, 16))]
    lines = [line for name, field in zip(names, word.fields) for line in field_lines(name, field, widths)]
    return "\n".join(["", f"{'whose' if word.owners_of_fields else 'fields'}, type, default, what it is", *lines])


def columns(word: Word, names: list[str]) -> list[list[str]]:
    """The texts of each column but the last."""
    return [names, [field.type for field in word.fields], [field.default for field in word.fields]]


def field_lines(name: str, field: WordField, widths: list[int]) -> list[str]:
    """A field on one line, or what is too long for its column below it."""
    texts = (name, field.type, field.default)
    cells = [text if len(text) <= width else "" for text, width in zip(texts, widths)]
    below = [text for text, cell in zip(texts, cells) if text and not cell]
    cells[0] = cells[0] or cut_at_word(name, widths[0])
    line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths))
    first = textwrap.wrap(f"  {line}  {field.about}", PAGE_WIDTH, subsequent_indent=" " * (sum(widths) + 8))
    return [
        *first,
        *(textwrap.fill(text, PAGE_WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6) for text in below),
    ]


def example_text(record: Mapping[str, Any]) -> str:
    """The example, indented, below what the word does in it."""
    shown = record["example"]
    if not shown:
        return ""
    title = {
        "console": "example, a command",
        "recipe": "example, a recipe",
        "card": "example, a card",
        "python": "example, in Python",
    }
    lines = ["", title.get(shown["form"], "example"), textwrap.indent(shown["text"].rstrip(), "  ")]
    if found := record["measured"]:
        shapes = f"{', '.join(map(shape_text, found['reads']))} -> {shape_text(found['gives'])}"
        costs = ", ".join(f"{whole(found[name])} {name}" for name in ("params", "macs", "fvcore", "activations"))
        lines += [f"there: {shapes}", f"       {costs}"]
    return "\n".join(lines)


def usage_text(record: Mapping[str, Any]) -> str:
    """Blocks and models that use it."""
    models = {family: len(names) for family, names in record["models"].items()}
    told = ", ".join(f"{family} {count}" for family, count in models.items())
    lines = [f"in the blocks: {', '.join(record['blocks'])}"] if record["blocks"] else []
    lines += [f"in {plural(sum(models.values()), 'model')} of the zoo: {told}"] if models else []
    wrapped = (textwrap.fill(line, PAGE_WIDTH, subsequent_indent="  ") for line in lines)
    return "\n".join(["", *wrapped]) if lines else ""


def word_list(words: Iterable[Word]) -> str:
    """Words by kind, each with its first line; fields and values as names alone."""
    by_kind: dict[str, list[Word]] = {}
    for word in words:
        by_kind.setdefault(word.kind, []).append(word)
    parts = []
    for kind, found in by_kind.items():
        if kind in ("field", "value"):
            names = ", ".join(word.name for word in found)
            lines = [
                textwrap.fill(names, PAGE_WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
            ]
        else:
            width = max(len(word.name) for word in found)
            lines = [f"  {word.name:<{width}}  {cut_at_word(word.line, PAGE_WIDTH - width - 4)}" for word in found]
        parts.append("\n".join([f"{kind} ({len(found)})", *lines]))
    return "\n\n".join(parts)


def cut_at_word(line: str, room: int) -> str:
    """A line, cut at a word."""
    return line if len(line) <= room else textwrap.shorten(line, room, placeholder=" ...")
