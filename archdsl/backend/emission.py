"""Plan -> standalone Python source. Parts of one structure share a class; what differs becomes its parameters."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

from archdsl.backend.forward import Forward
from archdsl.backend.forward_keys import programs
from archdsl.backend.module_tree import Part, network_of, shared_with
from archdsl.backend.passes import Lower, lowered_graph
from archdsl.backend.passes.base import in_pieces, literal_graph, programs_of, text_of
from archdsl.backend.runtime.clips import clips_named, expect
from archdsl.backend.runtime.keys import keyed
from archdsl.backend.runtime.stream import streamed
from archdsl.backend.user_ops import KNOWN, confirm, texts_of
from archdsl.blocks.names import CASTS
from archdsl.compiler import Plan, plan_of
from archdsl.compiler.keys import whole_clips
from archdsl.graph import Graph
from archdsl.language import Arch
from archdsl.ops import Source
from archdsl.ops.layer import Argument, is_plain

WIDTH = 120
ALWAYS = frozenset([*keyword.kwlist, *dir(builtins), *KNOWN, "self"])
"""Names that have a meaning in every emitted file: Python's own, and what it imports."""


@dataclass(frozen=True)
class Made:
    """How a part is constructed: its class and the arguments that vary, or a whole expression."""

    name: str
    args: tuple[tuple[str, Any], ...] = ()


@dataclass
class Line:
    """One line of a constructor: a target, what is called, and its arguments, any of which may become a parameter."""

    target: str
    called: str
    args: list[Argument]
    hint: str


@dataclass
class Template:
    """A part as a class: constructor lines, plain lines, and the text of forward."""

    part: Part
    base: str = "nn.Module"
    lines: list[Line | str] = field(default_factory=list)
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
        return [arg.value for line in self.lines if isinstance(line, Line) for arg in line.args]


def emit(arch_or_plan: Arch | Plan, lower: Lower = "none", *, train: bool | None = None) -> str:
    """The network as Python source that imports only torch. `archdsl.build` executes exactly this text.

    Raises SpecError for an op of one's own that says other shapes or weights than torch gives.
    """
    plan = plan_of(arch_or_plan)
    confirm(plan.graph)
    (c, t, h, w), *_ = plan.inputs.values()
    title = [
        f'"""{plan.name}: {plan.params:,} parameters, {plan.macs:,} multiply-adds for one clip of {c}x{t}x{h}x{w}."""',
        "",
    ]
    return "\n".join(title) + Emission(lowered_graph(plan.graph, lower, train=train), class_name(plan.name)).text()


def class_name(name: str) -> str:
    """The network's class: slowfast_4x16_r50 -> Slowfast4x16R50."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part) or "Network"


@dataclass
class Emission:
    """The source of one graph."""

    graph: Graph
    name: str
    made: dict[str, Made] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Class -> its text."""
    taken: set[str] = field(default_factory=lambda: {*ALWAYS})
    """Names that have a meaning in the file already: neither a class nor a variable gets one of them."""

    def text(self) -> str:
        """Imports, classes from the innermost outwards, the network last."""
        root = network_of(self.graph)
        helpers = self.helpers()
        self.name = self.free(self.name)
        parts = self.owned(root)
        for height in range(root.height):
            self.level([part for part in parts if part.height == height])
        self.level([root])
        body = "\n\n\n".join([*helpers, *self.texts.values()])
        imports = ["import math"] if re.search(r"(?<!\.)\bmath\.", body) else []
        imports += ["from collections.abc import Callable"] if re.search(r"\bCallable\b", body) else []
        imports += ["from typing import Any"] if re.search(r"\bAny\b", body) else []
        imports += [""] if imports else []
        imports += ["import torch"] if "torch." in body else []
        imports += ["import torch.nn.functional as F"] if "F." in body else []
        return "\n".join(["", *imports, "from torch import Tensor, nn", "", "", body, ""])

    def helpers(self) -> list[str]:
        """The source of what torch lacks and this graph uses, each once."""
        nodes = [node for node in self.graph.nodes.values() if not isinstance(node.op, Source)]
        stream = [streamed] if in_pieces(self.graph) else [keyed] if programs_of(self.graph) else []
        needs = [need for node in nodes for need in text_of(self.graph, node).needs]
        given = [expect, clips_named] if len(nodes) + 1 < len(self.graph.nodes) else [expect]
        texts = texts_of(dict.fromkeys([*needs, *stream, *given]))
        self.taken |= {*texts}
        return [*texts.values()]

    def owned(self, part: Part) -> list[Part]:
        """All parts below a part but those that share another's weights: these are called where they lie."""
        inner = [step for step in part.steps if isinstance(step, Part) and not shared_with(self.graph, step)]
        return [p for step in inner for p in (*self.owned(step), step)]

    def level(self, parts: list[Part]) -> None:
        """The classes of all parts of one height."""
        groups: dict[Any, list[Template]] = {}
        for part in parts:
            if self.chain(part):
                self.made[part.address] = Made(self.sequential(part))
            else:
                template = self.template(part)
                groups.setdefault(template.structure, []).append(template)
        for templates in groups.values():
            self.define(templates)

    def chain(self, part: Part) -> bool:
        """Whether a part is parts one after the other, numbered from 0: an nn.Sequential."""
        names = [step.address.rpartition(".")[2] for step in part.steps if isinstance(step, Part)]
        if len(names) != len(part.steps) or names != [str(i) for i in range(len(names))]:
            return False
        values = [part.inputs, *(step.outputs for step in part.steps if isinstance(step, Part))]
        return all(
            isinstance(s, Part) and s.inputs == before and len(before) == 1 for s, before in zip(part.steps, values)
        )

    def sequential(self, part: Part) -> str:
        """The expression of a chain."""
        inner = [
            call(self.made[step.address].name, shown(self.made[step.address].args))
            for step in part.steps
            if isinstance(step, Part)
        ]
        return "nn.Sequential(\n" + "".join(f"{indented(text)},\n" for text in inner) + ")"

    def template(self, part: Part) -> Template:
        """A part's constructor and forward."""
        template = Template(part, "nn.ModuleList" if numbered(part) else "nn.Module")
        prefix = f"{part.address}." if part.address else ""
        for held in part.holds:
            template.lines.append(f"self.{held.removeprefix(prefix)} = {self.container(held)}()")
        for step in part.steps:
            if isinstance(step, Part):
                self.construct_part(template, step, prefix)
            else:
                self.construct_op(template, step, prefix)
        template.forward = Forward(self.graph, part, self.taken)
        return template

    def container(self, address: str) -> str:
        """The class of a module that only holds others."""
        inside = f"{address}."
        parts = {at.removeprefix(inside).partition(".")[0] for at in self.graph.scopes if at.startswith(inside)}
        if not (shadowed := named_parts(parts)):
            return "nn.Module"
        name = self.free("Parts")
        self.texts[name] = "\n".join([f"class {name}(nn.Module):", f'    """The parts of {address}."""', "", *shadowed])
        return name

    def construct_part(self, template: Template, step: Part, prefix: str) -> None:
        """The lines that construct an inner part, unless it shares another's weights."""
        if shared_with(self.graph, step):
            return
        made = self.made[step.address]
        target = f"self.{step.address.removeprefix(prefix)}"
        args = [Argument(name, value) for name, value in made.args]
        hint = step.address.removeprefix(prefix).replace(".", "_")
        template.lines.append(
            Line(target, made.name, args, hint)
            if args
            else set_to(target, made.name if "(" in made.name else made.name + "()")
        )

    def construct_op(self, template: Template, address: str, prefix: str) -> None:
        """The lines that construct an op's module, where it has one."""
        node = self.graph.nodes[address]
        low = text_of(self.graph, node)
        if low.module is None or node.tied:
            return
        target = f"self.{address.removeprefix(prefix)}"
        template.lines.append(Line(target, low.module, list(low.args), address.removeprefix(prefix).replace(".", "_")))
        template.lines += [init.format(m=target) for init in low.inits]

    def define(self, templates: list[Template]) -> None:
        """One class for parts of one structure."""
        first = templates[0]
        name = self.name if not first.part.address else self.free(first.part.kind)
        columns = list(zip(*(template.values for template in templates)))
        parameters: dict[tuple[Any, ...], str] = {}
        arguments = [(line.hint, arg) for line in first.lines if isinstance(line, Line) for arg in line.args]
        for (hint, arg), column in zip(arguments, columns):
            if any(value != column[0] for value in column) and column not in parameters:
                parameters[column] = unique(parameter_name(hint, arg.name), {*parameters.values(), *self.taken})
        for i, template in enumerate(templates):
            self.made[template.part.address] = Made(name, tuple((p, column[i]) for column, p in parameters.items()))
        names = [parameters.get(column) for column in columns]
        self.texts[name] = class_text(name, first, parameters, names, shared=len(templates))

    def free(self, kind: str) -> str:
        """The kind's name, or it with a number."""
        name, i = kind, 2
        while name in self.taken:
            name, i = f"{kind}{i}", i + 1
        self.taken.add(name)
        return name


def class_text(
    name: str, template: Template, parameters: dict[tuple[Any, ...], str], names: list[str | None], shared: int
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
    steps = [step.address if isinstance(step, Part) else step for step in part.steps]
    if shadowed := named_parts({step.removeprefix(prefix) for step in steps}):
        lines += [*shadowed, ""]
    typed = [f"{parameter}: {annotation(column[0])}" for column, parameter in parameters.items()]
    if template.lines:
        lines += indented(call("def __init__", ["self", *typed]) + " -> None:").splitlines()
        lines.append("        super().__init__()")
        queue = iter(names)
        for line in template.lines:
            text = (
                line
                if isinstance(line, str)
                else set_to(line.target, call(line.called, [*arguments_of(line, queue)], room=len(line.target) + 11))
            )
            lines += indented(text, 8).splitlines()
        lines.append("")
    if part.outputs or not part.address:  # a part that only keeps weights is never called
        lines += [indented(line) if line else "" for line in template.forward.text()]
    if not part.address:
        lines += ["", *map(indented, template.forward.introduction(name))]
        lines += ["", *map(indented, template.forward.step_text())] if in_pieces(template.forward.graph) else []
        for method in programs(template.forward):
            lines += ["", *map(indented, method)]
    return "\n".join(lines).rstrip()


def named_parts(names: set[str]) -> list[str]:
    """Lines by which parts are found that are named as what torch's modules have already."""
    return [f'    {name} = property(lambda self: self._modules["{name}"])' for name in sorted(names & CASTS)]


def numbered(part: Part) -> bool:
    """Whether the parts within have numbers for names."""
    return any(isinstance(step, Part) and step.address.rpartition(".")[2].isdigit() for step in part.steps)


def set_to(target: str, made: str) -> str:
    """The line that keeps a part: by its name, or one after the other where names are numbers."""
    return f"self.append({made})" if target.rpartition(".")[2].isdigit() else f"{target} = {made}"


def arguments_of(line: Line, names: Any) -> list[str]:
    """The arguments of a call: parameters by name, defaults left out; those without a default first, in place."""
    shown_args = []
    for arg in line.args:
        parameter = next(names)
        if parameter is None and arg.default is not None and arg.value == arg.default:
            continue
        value = parameter or literal(arg.value)
        shown_args.append(value if arg.default is None and line.called.startswith("nn.") else f"{arg.name}={value}")
    return shown_args


def shown(args: tuple[tuple[str, Any], ...]) -> list[str]:
    """Keyword arguments."""
    return [f"{name}={literal(value)}" for name, value in args]


def literal(value: Any) -> str:
    """A value as Python writes it: numbers, truths and tuples of them; of an op of one's own also text and None."""
    assert is_plain(value), value
    return repr(value)


def annotation(value: Any) -> str:
    """The type of a parameter."""
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(annotation, value)) or '()'}]"
    return "Any" if value is None else type(value).__name__


def call(name: str, args: list[str], room: int = 14) -> str:
    """A call on one line where it fits, else one argument a line."""
    line = f"{name}({', '.join(args)})"
    if len(line) + room <= WIDTH:
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


def unique(name: str, taken: Any) -> str:
    """A name not yet taken."""
    known, i, made = set(taken), 2, name
    while made in known:
        made, i = f"{name}_{i}", i + 1
    return made
