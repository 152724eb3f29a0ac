"""One name means one thing: no public name of a module is defined in two modules of the package."""

from __future__ import annotations

import ast
import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from archdsl.ops import OPS
from archdsl.report.explanation.docstrings import field_texts_of

PACKAGE = Path(__file__).parent.parent / "archdsl"
YAML_WORDS = ("ops/", "blocks/", "backend/runtime/", "language/transforms/")
"""An op, the block and the transform that add it, and the function or module that runs it bear the same word: the one
that specs and emitted files spell. Each of these defines it once."""


def defined(path: Path) -> Iterator[str]:
    """Public names that a module binds at its top level; a type variable is a letter of its module alone."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign) and "TypeVar" not in ast.unparse(node.value):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def modules_by_name() -> dict[str, list[str]]:
    """Public name -> the modules that define it, as paths below the package."""
    modules = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE)
        if "_shelf" not in where.parts:
            for name in set(defined(path)):
                if not name.startswith("_"):
                    modules[name].append(where.as_posix())
    return modules


def is_yaml_word(modules: list[str]) -> bool:
    """Whether each of the modules is another of the places where one word of the language stands."""
    places = [next((place for place in YAML_WORDS if module.startswith(place)), module) for module in modules]
    return set(places) <= set(YAML_WORDS) and len(set(places)) == len(places)


def test_a_name_is_defined_in_one_module() -> None:
    modules = modules_by_name()
    assert len(modules) > 1000
    shared = {name: paths for name, paths in modules.items() if len(paths) > 1 and not is_yaml_word(paths)}
    assert shared == {}


def test_every_field_of_an_op_says_what_it_is() -> None:
    """By the text below it, which `archdsl explain` and the JSON Schema show."""
    fields = [(op, field.name) for op in OPS for field in dataclasses.fields(op)]
    assert len(fields) > 150
    assert [f"{op.__name__}.{name}" for op, name in fields if name not in field_texts_of(op)] == []


def test_what_ops_run_stands_where_they_say() -> None:
    """`runtime(file, *names)` names functions and modules of `backend/runtime/`."""
    calls = [
        [one.value for one in node.args if isinstance(one, ast.Constant)]
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "runtime"
    ]
    assert len(calls) > 50
    for file, *names in calls:
        text = (PACKAGE / "backend/runtime" / (file.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        assert {*names} <= {one.name for one in ast.parse(text).body if hasattr(one, "name")}, file
