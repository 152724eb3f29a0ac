"""What tasks say of themselves, read from their files: importing them would import torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from archdsl.report.explanation.docstrings import SOURCES, definitions_in, whole_text
from archdsl.report.explanation.fields import REQUIRED, WordField
from archdsl.spec.fixes import flow_yaml

TASK_FILES = SOURCES / "training" / "tasks"


class TaskWords(NamedTuple):
    """A task in words."""

    name: str
    about: str
    fields: tuple[WordField, ...]
    source: str


def tasks_in_words() -> Iterator[TaskWords]:
    """Every class of the folder that has a name, in order of the files."""
    for path in sorted(TASK_FILES.rglob("*.py")):
        classes = definitions_in(path)
        for node in classes.values():
            said = {target.id: value for target, value in assigned(node) if isinstance(target, ast.Name)}
            name = said.get("name")
            if isinstance(node, ast.ClassDef) and isinstance(name, ast.Constant):
                options = said.get("options_kind")
                kind = classes.get(options.id) if isinstance(options, ast.Name) else None
                fields = tuple(option_fields(kind)) if isinstance(kind, ast.ClassDef) else ()
                about = whole_text(ast.get_docstring(node))
                source = f"archdsl/{path.relative_to(SOURCES).as_posix()}:{node.lineno}"
                yield TaskWords(str(name.value), about, fields, source)


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """(name, value) of what the body of a class sets."""
    for line in getattr(node, "body", ()):
        if isinstance(line, ast.Assign):
            yield line.targets[0], line.value
        elif isinstance(line, ast.AnnAssign):
            yield line.target, line.value


def option_fields(options: ast.ClassDef) -> Iterator[WordField]:
    """The fields of a class of options: `name: type = Field(default, description=...)`."""
    for line in options.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
            about = next(
                (ast.literal_eval(word.value) for word in line.value.keywords if word.arg == "description"), ""
            )
            default = flow_yaml(ast.literal_eval(line.value.args[0])) if line.value.args else REQUIRED
            kind = ast.unparse(line.annotation).removeprefix("Literal[").removesuffix("]")
            yield WordField(ast.unparse(line.target), kind.replace("'", "").replace(", ", " | "), default, about)
