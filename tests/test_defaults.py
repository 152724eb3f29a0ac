"""What a field that nobody wrote stands for: a spec or a recipe means tomorrow what it means today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from inspect import signature
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from archdsl import rewrites, train
from archdsl.backend import build, emit
from archdsl.blocks import BLOCKS, Norm
from archdsl.language import HEADS, TRANSFORMS, Arch, Clip, Edge, Pathway, Stage
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import OPS
from archdsl.report.memory.report import Setup

GOLDEN = Path(__file__).parent / "golden" / "defaults.txt"


def within(place: str, model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """place.field -> its default, of a model and of those that stand in it by default."""
    for name, field in model.model_fields.items():
        if field.is_required():
            continue
        value = field.get_default(call_default_factory=True, validated_data={})
        yield f"{place}.{name}", value
        if place.startswith("recipe") and isinstance(value, BaseModel):
            yield from within(f"{place}.{name}", type(value))


def defaults() -> dict[str, str]:
    """Class.field or function.argument -> its default."""
    found: dict[str, Any] = {}
    for model in (Arch, Clip, Pathway, Stage, Edge, Norm, *BLOCKS, *TRANSFORMS, *HEADS):
        found |= within(model.__name__, model)
    found |= within("recipe", Recipe)
    for kind in (*OPS, Setup):
        found |= {f"{kind.__name__}.{one.name}": one.default for one in fields(kind) if one.default is not MISSING}
    calls = {name: getattr(rewrites, name) for name in rewrites.__all__}
    for name, call in {**calls, "build": build, "emit": emit, "train": train}.items():
        for argument in signature(call).parameters.values():
            if argument.default is not argument.empty:
                found[f"{name}({argument.name})"] = argument.default
    texts = {name: " ".join(str(value).split()) for name, value in found.items()}
    return {name: text for name, text in texts.items() if "=" not in text}  # models: their fields are here themselves


def test_what_is_left_out_means_what_it_meant() -> None:
    """Fields that are new need no line; `python -m tests.test_defaults` writes all of them down."""
    written = dict(line.split(" = ") for line in GOLDEN.read_text(encoding="utf-8").splitlines())
    found = defaults()
    assert len(written) > 500
    assert {name: found.get(name) for name in written} == written


if __name__ == "__main__":
    GOLDEN.write_text("".join(f"{name} = {text}\n" for name, text in defaults().items()), encoding="utf-8")
