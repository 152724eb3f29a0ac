"""A module as a class: its constructor lines, and the text of the class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from archdsl.backend.forward import Forward
from archdsl.backend.forward_keys import programs
from archdsl.backend.passes.base import literal_graph, takes_pieces
from archdsl.backend.source_text import (
    annotation,
    assignment,
    call_text,
    indented,
    python_literal,
    shadowing_properties,
)
from archdsl.compiler.keys import whole_clips
from archdsl.compiler.module_tree import ModulePart
from archdsl.ops.layer import Argument


@dataclass
class ConstructorLine:
    """One line of a constructor: a target, what is called, and its arguments, any of which may become a parameter."""

    target: str
    called: str
    args: list[Argument]
    hint: str


@dataclass
class ClassTemplate:
    """A part as a class: constructor lines, plain lines, and the text of forward."""

    part: ModulePart
    base: str = "nn.Module"
    lines: list[ConstructorLine | str] = field(default_factory=list)
    forward: Forward | None = None

    @property
    def structure(self) -> tuple[Any, ...]:
        """Equal for parts that can share a class."""
        lines = tuple(
            line if isinstance(line, str) else (line.target, line.called, tuple(a.name for a in line.args))
            for line in self.lines
        )
        return (self.part.kind, self.base, lines, self.forward.structure if self.forward else ())

    @property
    def values(self) -> list[Any]:
        """Every argument's value, in order."""
        return [arg.value for line in self.lines if isinstance(line, ConstructorLine) for arg in line.args]


def class_text(
    name: str, template: ClassTemplate, parameters: dict[tuple[Any, ...], str], names: list[str | None], shared: int
) -> str:
    """The text of one class."""
    part = template.part
    assert template.forward
    where = f" Shapes as in {part.address}." if shared > 1 else ""
    title = f"{part.kind}, used {shared} times.{where}" if shared > 1 else f"{part.kind} {part.address}."
    if not part.address:
        whole = whole_clips(literal_graph(template.forward.graph))
        title = f"The network. It takes whole clips: {whole}." if whole else "The network."
    lines = [f"class {name}({template.base}):", f'    """{title}"""', ""]
    if template.forward.chosen and not part.address:
        lines += ["    streaming = False  # in `step` the frames are those chosen", ""]
    prefix = f"{part.address}." if part.address else ""
    steps = [step.address if isinstance(step, ModulePart) else step for step in part.steps]
    if shadowed := shadowing_properties({step.removeprefix(prefix) for step in steps}):
        lines += [*shadowed, ""]
    typed = [f"{parameter}: {annotation(column[0])}" for column, parameter in parameters.items()]
    if template.lines:
        lines += indented(call_text("def __init__", ["self", *typed]) + " -> None:").splitlines()
        lines.append("        super().__init__()")
        queue = iter(names)
        for line in template.lines:
            text = (
                line
                if isinstance(line, str)
                else assignment(
                    line.target, call_text(line.called, [*call_arguments(line, queue)], room=len(line.target) + 11)
                )
            )
            lines += indented(text, 8).splitlines()
        lines.append("")
    if part.outputs or not part.address:  # a part that only keeps weights is never called
        lines += [indented(line) if line else "" for line in template.forward.text()]
    if not part.address:
        lines += ["", *map(indented, template.forward.introduction(name))]
        lines += ["", *map(indented, template.forward.step_text())] if takes_pieces(template.forward.graph) else []
        for method in programs(template.forward):
            lines += ["", *map(indented, method)]
    return "\n".join(lines).rstrip()


def call_arguments(line: ConstructorLine, names: Any) -> list[str]:
    """The arguments of a call: parameters by name, defaults left out; those without a default first, in place."""
    shown_args = []
    for arg in line.args:
        parameter = next(names)
        if parameter is None and arg.default is not None and arg.value == arg.default:
            continue
        value = parameter or python_literal(arg.value)
        shown_args.append(value if arg.default is None and line.called.startswith("nn.") else f"{arg.name}={value}")
    return shown_args
