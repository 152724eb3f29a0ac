"""Which models of the zoo use a word, and which blocks are made with an op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.blocks import BLOCKS, Step
from archdsl.language import Arch
from archdsl.ops import Op, key_of
from archdsl.report.explanation.examples import example_of
from archdsl.report.explanation.words import Word
from archdsl.spec.base import Written


def models_with(word: Word) -> dict[str, list[str]]:
    """Family -> its models that use a word."""
    found: dict[str, list[str]] = {}
    if word.kind in ("key", "recipe", "convention"):
        return found
    for path, archs in archs_of_zoo().items():
        if word.kind == "rewrite":
            names = list(archs) if f" {word.name}" in path.read_text("utf-8") else []
        else:
            names = [name for name, arch in archs.items() if stands_in(arch, word)]
        if names:
            found[path.stem] = names
    return found


@cache
def archs_of_zoo() -> Mapping[Path, Mapping[str, Arch]]:
    """File -> its models by name."""
    return {path: {model.name: model.arch() for model in catalog.models_in(path)} for path in catalog.zoo_files()}


def stands_in(arch: Arch, word: Word) -> bool:
    """Whether a word stands in an arch."""
    match word.kind:
        case "task":
            return arch.head.task == word.name
        case "merge":
            return any(edge.merge == word.name for edge in arch.edges)
        case "op":
            return any(step.op == word.name for drawing in arch.blocks.values() for step in drawing.steps.values())
        case "frame choice" | "field":
            return any(word.name in part.model_fields_set and key_of(type(part)) in word.owners for part in parts(arch))
        case "value":
            return any(
                getattr(part, field) == word.name
                for part in parts(arch)
                for kind, _, field in (owner.partition(".") for owner in word.owners)
                if kind == key_of(type(part)) and field in part.model_fields_set
            )
    return word.thing is not None and has_kind(arch, word.thing)


def has_kind(arch: Arch, kind: Any) -> bool:
    """Whether a part of an arch is of a class."""
    return any(type(part) is kind for part in parts(arch))


def parts(thing: Any) -> Iterator[Written]:
    """Everything written in a part of an arch, itself too."""
    if isinstance(thing, Written):
        yield thing
        if not isinstance(thing, Step):
            for value in vars(thing).values():
                yield from parts(value)
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from parts(value)
    elif isinstance(thing, tuple):
        for value in thing:
            yield from parts(value)


def blocks_with(op: type[Op]) -> list[str]:
    """The blocks whose smallest example has an op."""
    made = {key_of(kind): example_of(kind) for kind in BLOCKS}
    return [name for name, found in made.items() if found and any(type(n.op) is op for n in found[1].nodes)]
