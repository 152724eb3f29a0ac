"""Plan -> standalone Python source. Parts of one structure share a class; what differs becomes its parameters."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

from archdsl.backend.class_text import ClassTemplate, ConstructorLine, class_text
from archdsl.backend.forward import Forward
from archdsl.backend.passes import Lower, lowered_graph
from archdsl.backend.passes.base import layer_of, programs_of, takes_pieces
from archdsl.backend.runtime.clips import clips_named, expect, expect_ids
from archdsl.backend.runtime.keys import keyed
from archdsl.backend.runtime.stream import check_state, streamed
from archdsl.backend.source_text import (
    assignment,
    call_text,
    indented,
    keyword_arguments,
    parameter_name,
    shadowing_properties,
    unique_name,
)
from archdsl.backend.user_ops import EMITTED_IMPORTS, confirm, source_texts
from archdsl.compiler import Plan, plan_of
from archdsl.compiler.module_tree import ModulePart, module_tree, weight_owner
from archdsl.graph import Graph
from archdsl.language import Arch
from archdsl.ops import Source
from archdsl.ops.layer import Argument

RESERVED = frozenset([*keyword.kwlist, *dir(builtins), *EMITTED_IMPORTS, "self"])
"""Names that have a meaning in every emitted file: Python's own, and what it imports."""


@dataclass(frozen=True)
class Construction:
    """How a part is constructed: its class and the arguments that vary, or a whole expression."""

    name: str
    args: tuple[tuple[str, Any], ...] = ()


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
    made: dict[str, Construction] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Class -> its text."""
    taken: set[str] = field(default_factory=lambda: {*RESERVED})
    """Names that have a meaning in the file already: neither a class nor a variable gets one of them."""

    def text(self) -> str:
        """Imports, classes from the innermost outwards, the network last."""
        root = module_tree(self.graph)
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
        step = streamed if takes_pieces(self.graph) else keyed if programs_of(self.graph) else None
        stream = [check_state, step] if step else []
        needs = [need for node in nodes for need in layer_of(self.graph, node).needs]
        clips = [node.op for node in self.graph.nodes.values() if isinstance(node.op, Source)]
        given: list[Any] = [*dict.fromkeys(expect_ids if clip.vocabulary else expect for clip in clips)]
        given += [clips_named] if len(clips) > 1 else []
        texts = source_texts(dict.fromkeys([*needs, *stream, *given]))
        self.taken |= {*texts}
        return [*texts.values()]

    def owned(self, part: ModulePart) -> list[ModulePart]:
        """All parts below a part but those that share another's weights: these are called where they lie."""
        inner = [step for step in part.steps if isinstance(step, ModulePart) and not weight_owner(self.graph, step)]
        return [p for step in inner for p in (*self.owned(step), step)]

    def level(self, parts: list[ModulePart]) -> None:
        """The classes of all parts of one height."""
        groups: dict[Any, list[ClassTemplate]] = {}
        for part in parts:
            if self.chain(part):
                self.made[part.address] = Construction(self.sequential(part))
            else:
                template = self.template(part)
                groups.setdefault(template.structure, []).append(template)
        for templates in groups.values():
            self.define(templates)

    def chain(self, part: ModulePart) -> bool:
        """Whether a part is parts one after the other, numbered from 0: an nn.Sequential."""
        names = [step.address.rpartition(".")[2] for step in part.steps if isinstance(step, ModulePart)]
        if len(names) != len(part.steps) or names != [str(i) for i in range(len(names))]:
            return False
        if len(part.outputs) != 1:  # what leaves from inside, too
            return False
        values = [part.inputs, *(step.outputs for step in part.steps if isinstance(step, ModulePart))]
        return all(
            isinstance(s, ModulePart) and s.inputs == before and len(before) == 1
            for s, before in zip(part.steps, values)
        )

    def sequential(self, part: ModulePart) -> str:
        """The expression of a chain."""
        inner = [
            call_text(self.made[step.address].name, keyword_arguments(self.made[step.address].args))
            for step in part.steps
            if isinstance(step, ModulePart)
        ]
        return "nn.Sequential(\n" + "".join(f"{indented(text)},\n" for text in inner) + ")"

    def template(self, part: ModulePart) -> ClassTemplate:
        """A part's constructor and forward."""
        template = ClassTemplate(part, "nn.ModuleList" if has_numbered_parts(part) else "nn.Module")
        prefix = f"{part.address}." if part.address else ""
        for held in part.holds:
            template.lines.append(f"self.{held.removeprefix(prefix)} = {self.container(held)}()")
        for step in part.steps:
            if isinstance(step, ModulePart):
                self.construct_part(template, step, prefix)
            else:
                self.construct_op(template, step, prefix)
        template.forward = Forward(self.graph, part, self.taken)
        return template

    def container(self, address: str) -> str:
        """The class of a module that only holds others."""
        inside = f"{address}."
        parts = {at.removeprefix(inside).partition(".")[0] for at in self.graph.scopes if at.startswith(inside)}
        if not (shadowed := shadowing_properties(parts)):
            return "nn.Module"
        name = self.free("Parts")
        self.texts[name] = "\n".join([f"class {name}(nn.Module):", f'    """The parts of {address}."""', "", *shadowed])
        return name

    def construct_part(self, template: ClassTemplate, step: ModulePart, prefix: str) -> None:
        """The lines that construct an inner part, unless it shares another's weights."""
        if weight_owner(self.graph, step):
            return
        made = self.made[step.address]
        target = f"self.{step.address.removeprefix(prefix)}"
        args = [Argument(name, value) for name, value in made.args]
        hint = step.address.removeprefix(prefix).replace(".", "_")
        template.lines.append(
            ConstructorLine(target, made.name, args, hint)
            if args
            else assignment(target, made.name if "(" in made.name else made.name + "()")
        )

    def construct_op(self, template: ClassTemplate, address: str, prefix: str) -> None:
        """The lines that construct an op's module, where it has one."""
        node = self.graph.nodes[address]
        low = layer_of(self.graph, node)
        if low.module is None or node.tied:
            return
        target = f"self.{address.removeprefix(prefix)}"
        template.lines.append(
            ConstructorLine(target, low.module, list(low.args), address.removeprefix(prefix).replace(".", "_"))
        )
        template.lines += [init.format(m=target) for init in low.inits]

    def define(self, templates: list[ClassTemplate]) -> None:
        """One class for parts of one structure."""
        first = templates[0]
        name = self.name if not first.part.address else self.free(first.part.kind)
        columns = list(zip(*(template.values for template in templates)))
        parameters: dict[tuple[Any, ...], str] = {}
        arguments = [(line.hint, arg) for line in first.lines if isinstance(line, ConstructorLine) for arg in line.args]
        for (hint, arg), column in zip(arguments, columns):
            if any(value != column[0] for value in column) and column not in parameters:
                parameters[column] = unique_name(parameter_name(hint, arg.name), {*parameters.values(), *self.taken})
        for i, template in enumerate(templates):
            self.made[template.part.address] = Construction(
                name, tuple((p, column[i]) for column, p in parameters.items())
            )
        names = [parameters.get(column) for column in columns]
        self.texts[name] = class_text(name, first, parameters, names, shared=len(templates))

    def free(self, kind: str) -> str:
        """The kind's name, or it with a number."""
        name, i = kind, 2
        while name in self.taken:
            name, i = f"{kind}{i}", i + 1
        self.taken.add(name)
        return name


def has_numbered_parts(part: ModulePart) -> bool:
    """Whether the parts within have numbers for names."""
    return any(isinstance(step, ModulePart) and step.address.rpartition(".")[2].isdigit() for step in part.steps)
