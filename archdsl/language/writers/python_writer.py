"""An arch as Python source in the language, that gives an equal arch when it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from archdsl import blocks, language
from archdsl.blocks import Block, Drawn, Norm
from archdsl.blocks.chain import folded
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage
from archdsl.spec.base import Written

SPEC_WIDTH = 110


@dataclass(frozen=True)
class Nest:
    """Something in brackets: one line where it fits, else one part a line."""

    head: str
    parts: tuple[tuple[str, Any], ...]
    """(what stands before a part, the part)"""
    tail: str

    def text(self, indent: int, before: int) -> str:
        """The source, the first line of which has `before` characters in front."""
        line = self.head + ", ".join(name + flat_text(part) for name, part in self.parts) + self.tail
        single = "," if self.head == "(" and len(self.parts) == 1 else ""
        if before + len(line) <= SPEC_WIDTH and "\n" not in line:
            return line.removesuffix(self.tail) + single + self.tail
        inner = " " * (indent + 4)
        lines = [f"{inner}{name}{nested_text(part, indent + 4, indent + 4 + len(name))}," for name, part in self.parts]
        return "\n".join([self.head, *lines, " " * indent + self.tail])


def flat_text(part: Any) -> str:
    """A part without line breaks."""
    if not isinstance(part, Nest):
        return str(part)
    single = "," if part.head == "(" and len(part.parts) == 1 else ""
    return part.head + ", ".join(name + flat_text(inner) for name, inner in part.parts) + single + part.tail


def nested_text(part: Any, indent: int, before: int) -> str:
    """A part of a nest, or plain text."""
    return part.text(indent, before) if isinstance(part, Nest) else str(part)


def to_python(arch: Arch) -> str:
    """An arch as Python source. Raises SpecError for blocks and transforms that were defined in a file of one's own."""
    writer = Writer()
    body = writer.called(arch).text(0, len("arch = "))
    imports = [
        "from fractions import Fraction\n" if "Fraction" in writer.names else "",
        import_line("archdsl.blocks", sorted(writer.names & set(vars(blocks)))),
        import_line("archdsl.language", sorted(writer.names & (set(vars(language)) - set(vars(blocks)) | {"repeat"}))),
    ]
    return "\n".join([*filter(None, imports), "", f"arch = {body}", ""])


def import_line(module: str, names: list[str]) -> str:
    """One import, over several lines where it is long."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) > SPEC_WIDTH:
        line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
    return line if names else ""


def quoted(text: str) -> str:
    """A text in double quotes where it has none of its own."""
    return repr(text) if {"'", '"'} & set(text) else f'"{repr(text)[1:-1]}"'


class Writer:
    """Writes values, and remembers the names it needs."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def value(self, value: Any) -> Any:
        """Any value of a field."""
        if isinstance(value, Norm) and value == Norm(kind=value.kind):
            return quoted(value.kind)
        if isinstance(value, Stage):
            return self.stage(value)
        if isinstance(value, Written):
            return self.called(value)
        if isinstance(value, Fraction) and value.denominator > 1:
            self.names.add("Fraction")
            return f"Fraction({value.numerator}, {value.denominator})"
        if isinstance(value, Mapping):
            return Nest("{", tuple((f"{quoted(key)}: ", self.value(inner)) for key, inner in value.items()), "}")
        if isinstance(value, tuple | list):
            parts = self.chain(value) if value and all(isinstance(part, Block) for part in value) else ()
            brackets = "()" if isinstance(value, tuple) else "[]"
            return Nest(brackets[0], parts or tuple(("", self.value(part)) for part in value), brackets[1])
        return str(value) if isinstance(value, Fraction) else quoted(value) if isinstance(value, str) else repr(value)

    def called(self, thing: Written) -> Nest:
        """A model of the language by its constructor, with the fields that differ from their defaults."""
        kind = type(thing)
        if getattr(language, kind.__name__, getattr(blocks, kind.__name__, None)) is not kind:
            want = "blocks, transforms and heads of archdsl"
            raise SpecError(f"{kind.__name__} is not built in", written=thing.written, got=kind.__name__, want=want)
        self.names.add(kind.__name__)
        return Nest(
            f"{kind.__name__}(", tuple((f"{name}=", self.value(value)) for name, value in written_fields(thing)), ")"
        )

    def stage(self, stage: Stage) -> Nest:
        """A stage by its blocks."""
        self.names.add("Stage")
        return Nest("Stage(", self.chain(stage.blocks), ")")

    def chain(self, chain: Sequence[Block]) -> tuple[tuple[str, Any], ...]:
        """Blocks in order, repeats folded."""
        parts: list[tuple[str, Any]] = []
        for first, times in folded(chain):
            made = self.called(first)
            if times > 1:
                self.names.add("repeat")
                parts.append(("*", Nest("repeat(", (("", made), ("", times)), ")")))
            else:
                parts.append(("", made))
        return tuple(parts)


def written_fields(thing: Written) -> Iterator[tuple[str, Any]]:
    """The fields that must be written: not the defaults, and not what the arch gives its drawn blocks."""
    for name, field in type(thing).model_fields.items():
        value = getattr(thing, name)
        if isinstance(thing, Drawn) and name == "definitions":
            continue
        if isinstance(thing, Arch) and name == "clips" and list(value) == ["clip"]:
            yield "clip", value["clip"]
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            yield name, value
