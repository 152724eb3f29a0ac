"""Names from a spec never become code: what stands where a name may stand is refused, or never reaches the output."""

from __future__ import annotations

import ast
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from archdsl import SpecError, compile, draw, emit, load
from archdsl.spec.parser import read_data

PRIMER = sorted((Path(__file__).parent.parent / "specs" / "primer").glob("*.yaml"))
ATTACKS = [
    "a); import evil",
    "evil\nimport evil",
    '"evil<script>',
    "];evil",
    "__evil__",
    "{evil}",
    "'evil'",
    "evil evil",
]


def swapped(data: Any, attack: str, path: tuple[Any, ...] = ()) -> list[Any]:
    """The data once for every name or text in it, that one replaced."""
    made = []
    inner = data
    for key in path:
        inner = inner[key]
    if isinstance(inner, str):
        return [put(data, path, attack)]
    for key in list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ():
        made += swapped(data, attack, (*path, key))
        if isinstance(inner, dict):
            copy = deepcopy(data)
            there = copy
            for part in path:
                there = there[part]
            there[attack] = there.pop(key)
            made.append(copy)
    return made


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = deepcopy(data)
    there = copy
    for part in path[:-1]:
        there = there[part]
    there[path[-1]] = value
    return copy


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("path", [path for path in PRIMER if "extends" not in path.name], ids=lambda path: path.stem)
def test_names_that_break_out(path: Path, attack: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    refused = 0
    for data in swapped(json.loads(json.dumps(read_data(path))), attack):
        spec.write_text(json.dumps(data), encoding="utf-8")
        try:
            plan = compile(load(spec))
        except SpecError:
            refused += 1
            continue
        source = emit(plan)
        ast.parse(source)
        assert "evil" not in source
        assert "evil" not in draw(plan)
    assert refused > 10
