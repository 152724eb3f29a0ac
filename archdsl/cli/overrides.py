"""Models and overrides of the command line."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch, Model, change_all
from archdsl.language.parameters import COMMON
from archdsl.spec.numbers import check_text, exact_fraction
from archdsl.spec.plain_scalars import scalar_kind, value_of


def models_named(given: Namespace) -> list[Model]:
    """The models named on the command line, or with --all every model of the zoo. A Python file gives all it has."""
    if getattr(given, "all", False):
        check_exclusive(given, "all", ("names",))
        return list(catalog.zoo())
    if not given.names:
        raise SpecError(
            "no model named",
            want="names from `archdsl list`, or paths to spec files",
            fix=f"archdsl {given.command} slowfast_4x16_r50",
        )
    return [model for name in given.names for model in models_of(name)]


def models_of(name: str) -> tuple[Model, ...]:
    """A zoo name or a path as models."""
    if name.endswith(".py"):
        return catalog.models_in(Path(name))
    return (catalog.model(name),)


def overridden_arch(model: Model, given: Namespace) -> Arch:
    """The model's arch with the overrides of the command line."""
    overrides = {name: value for name in COMMON if (value := getattr(given, name)) is not None}
    parameters = dict(map(path_and_value, given.param))
    for name in overrides.keys() & parameters.keys():
        raise SpecError(
            f"--{name} and --param {name} together",
            got=f"{overrides[name]} and {parameters[name]!r}",
            want="one of them",
        )
    arch = model.arch(**overrides, **parameters)
    return change_all(arch, map(path_and_value, given.set))


def arch_named(name: str, given: Namespace) -> Arch:
    """One model by name or path (`file.py:name` for one of several in a file), overridden."""
    return overridden_arch(catalog.model(name), given)


def has_overrides(given: Namespace) -> bool:
    """Whether anything is overridden."""
    return bool(given.set or given.param or any(getattr(given, name) is not None for name in COMMON))


def check_exclusive(given: Namespace, name: str, others: tuple[str, ...]) -> None:
    """Raise SpecError for options that exclude each other."""
    for other in others:
        if getattr(given, other):
            other = "names" if other == "names" else f"--{other}"
            raise SpecError(f"--{name} and {other} together", got=other, want="one of them")


def path_and_value(text: str) -> tuple[str, Any]:
    """`path=value` as its parts."""
    path, found, value = text.partition("=")
    if not found or not path:
        raise SpecError("not a setting", got=text, want="path=value, such as pathways.slow.stages.res4.kernel_t=1")
    return path.strip(), parse_value(value.strip())


def parse_value(text: str) -> Any:
    """A value as YAML reads it. Numbers, words and lists are read without YAML, which takes a while to import."""
    try:
        if not set(text) & set("{\\"):
            return json.loads(text, parse_int=json_number, parse_float=json_number, parse_constant=json_number)
    except (ValueError, RecursionError):
        pass  # not JSON
    if not set(text) & set("{}[]\"'#&*!|>%@`:,~"):
        try:
            return value_of(scalar_kind(text), check_text(text))
        except ValueError as error:
            raise SpecError("invalid value", got=excerpt(text), want=str(error)) from None
    from archdsl.spec.parser import parse_yaml

    try:
        return without_lines(parse_yaml(text, "value"))
    except SpecError as error:
        want = error.faults[0].want or "a number, a word, [1, 3, 3], {key: value}"
        raise SpecError("invalid value", got=excerpt(text), want=want) from None


def json_number(text: str) -> int | float:
    """A number of JSON. Raises ValueError for one that no file may have either."""
    value = exact_fraction(text)
    return value.numerator if text.lstrip("-").isdecimal() else float(value)


def without_lines(data: Any) -> Any:
    """Data without the lines of a file: it has none."""
    if isinstance(data, dict):
        return {key: without_lines(value) for key, value in data.items()}
    return [without_lines(value) for value in data] if isinstance(data, list) else data
