"""Pieces of Python source: calls, assignments, literals, annotations and names."""

from __future__ import annotations

from typing import Any

from archdsl.blocks.names import CASTS
from archdsl.ops.layer import is_emittable

LINE_WIDTH = 120


def shadowing_properties(names: set[str]) -> list[str]:
    """Lines by which parts are found that are named as what torch's modules have already."""
    return [f'    {name} = property(lambda self: self._modules["{name}"])' for name in sorted(names & CASTS)]


def assignment(target: str, made: str) -> str:
    """The line that keeps a part: by its name, or one after the other where names are numbers."""
    return f"self.append({made})" if target.rpartition(".")[2].isdigit() else f"{target} = {made}"


def keyword_arguments(args: tuple[tuple[str, Any], ...]) -> list[str]:
    """Keyword arguments."""
    return [f"{name}={python_literal(value)}" for name, value in args]


def python_literal(value: Any) -> str:
    """A value as Python writes it: numbers, truths and tuples of them; of an op of one's own also text and None."""
    assert is_emittable(value), value
    return repr(value)


def annotation(value: Any) -> str:
    """The type of a parameter."""
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(annotation, value)) or '()'}]"
    return "Any" if value is None else type(value).__name__


def call_text(name: str, args: list[str], room: int = 14) -> str:
    """A call on one line where it fits, else one argument a line."""
    line = f"{name}({', '.join(args)})"
    if len(line) + room <= LINE_WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {arg},\n" for arg in args) + ")"


def indented(text: str, by: int = 4) -> str:
    """Every line moved right."""
    return "\n".join(" " * by + line if line else "" for line in text.split("\n"))


def parameter_name(hint: str, name: str) -> str:
    """conv_a and out_channels -> conv_a_out; a nested part's parameter keeps its own name behind the part's."""
    short = {
        "in_channels": "in",
        "out_channels": "out",
        "kernel_size": "kernel",
        "in_features": "in",
        "out_features": "out",
    }
    made = f"{hint}_{short.get(name, name)}"
    return f"part_{made}" if made[0].isdigit() else made  # of a list of parts, which are named by numbers


def unique_name(name: str, taken: Any) -> str:
    """A name not yet taken."""
    known, i, made = set(taken), 2, name
    while made in known:
        made, i = f"{name}_{i}", i + 1
    return made
