"""What a class says of itself in its source: the text below a field, and the line where the class begins."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2]


@cache
def definitions_in(path: Path) -> Mapping[str, ast.ClassDef | ast.FunctionDef]:
    """The classes and functions of a file by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def node_of(thing: type | Any) -> ast.ClassDef | ast.FunctionDef:
    """A class or function in its source."""
    return definitions_in(Path(inspect.getsourcefile(thing) or ""))[thing.__name__]


def texts_below(body: list[ast.stmt]) -> dict[str, str]:
    """Field -> the text below it."""
    return {
        field.target.id: " ".join(inspect.cleandoc(below.value.value).split())
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def field_texts_of(kind: type) -> dict[str, str]:
    """Field -> its description, inherited ones too."""
    own = [base for base in reversed(kind.__mro__) if base.__module__.startswith("archdsl.")]
    return {name: text for base in own for name, text in texts_below(node_of(base).body).items()}


def source_of(thing: Any) -> str:
    """`archdsl/blocks/residual.py:41`, where a class or function begins."""
    path = Path(inspect.getsourcefile(thing) or "")
    return f"archdsl/{path.relative_to(SOURCES).as_posix()}:{node_of(thing).lineno}"


def whole_text(docstring: str | None) -> str:
    """A docstring, its lines put together to paragraphs."""
    return "\n".join(" ".join(part.split()) for part in inspect.cleandoc(docstring or "").split("\n\n"))
