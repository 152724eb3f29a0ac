"""Random archs spoilt, and any text: it compiles, or it is told in words. Specs mutated: test_fuzz.py."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl import SpecError, compile, load
from archdsl.language.writers.yaml_writer import arch_to_data, to_yaml
from archdsl.testing.arches import plain_arches as arches

WORDS = [
    "slow",
    "fast",
    "stem",
    "res2",
    "conv",
    "bottleneck",
    "classifier",
    "none",
    "input",
    "$in",
    "$x",
    "1/2",
    "-1",
    "a b",
    "",
    "*",
    ".",
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([0.5, -0.0, 1e30, 10**30]),
    st.sampled_from(WORDS),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.lists(st.integers(0, 5), max_size=4),
    st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3), max_size=2),
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def spoilt(draw: Any, data: Any) -> Any:
    """The data with one value replaced, taken out, or renamed."""
    data = deepcopy(data)
    *above, last = draw(st.sampled_from([path for path in places(data) if path]))
    inner = data
    for key in above:
        inner = inner[key]
    match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
        case "replace":
            inner[last] = draw(JUNK)
        case "remove":
            del inner[last]
        case "rename" if isinstance(inner, dict):
            inner[draw(st.sampled_from(WORDS))] = inner.pop(last)
        case _ if isinstance(inner, dict):
            inner[draw(st.sampled_from([*WORDS, "extends", "like", "set", "repeat", "reads", "blocks"]))] = draw(JUNK)
        case _:
            inner.append(draw(JUNK))
    return data


def tell(folder: Path, data: Any) -> None:
    """Load and compile; a fault must say something, and be sayable."""
    path = folder / "spec.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        arch = load(path)
        plan = compile(arch)
        to_yaml(arch)
        assert plan.params >= 0
    except SpecError as error:
        if not all(fault.what for fault in error.faults):
            raise AssertionError("a fault that says nothing") from error


@settings(max_examples=60)
@given(arches(), st.data())
def test_a_random_arch_spoilt(tmp_path_factory: pytest.TempPathFactory, arch: Any, data: st.DataObject) -> None:
    spec = json.loads(json.dumps(arch_to_data(arch)))
    for _ in range(data.draw(st.integers(1, 3))):
        spec = spoilt(data.draw, spec)
    tell(tmp_path_factory.mktemp("spoilt"), spec)


@settings(max_examples=100)
@given(st.text())
def test_any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "spec.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(SpecError):
        load(path)
