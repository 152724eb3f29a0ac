"""Source -> network. What is executed is exactly the text that `emit` gives."""

from __future__ import annotations

import builtins
import linecache
import re
from itertools import count
from typing import Any

from torch import nn

from archdsl.backend.emission import Emission, emit
from archdsl.backend.passes import Lower
from archdsl.compiler import Plan, compile
from archdsl.graph import Graph
from archdsl.language import Arch

NUMBERS = count(1)


def build(arch_or_plan: Arch | Plan, lower: Lower = "none", *, train: bool | None = None) -> nn.Module:
    """The network as a torch module.

    It takes one clip (n, c, t, h, w), or a dict of clips by name where the arch has several, and chooses frames
    itself. `state_dict` keys are the addresses of the plan. `lower` names the passes that make it quick: "none" is the
    literal network, "auto" what pays on this device, for inference unless `train`; all load and save one state_dict.
    Raises SpecError where the arch cannot be.
    """
    plan = arch_or_plan if isinstance(arch_or_plan, Plan) else compile(arch_or_plan)
    return executed(emit(plan, lower, train=train), plan.name)


def build_graph(graph: Graph, name: str = "Network") -> nn.Module:
    """A bare graph as a torch module, for tests of single ops."""
    return executed(Emission(graph, name).text(), "graph")


def executed(source: str, title: str) -> nn.Module:
    """The network, the last class of its source, constructed. Tracebacks and `inspect.getsource` find the text."""
    file = f"<archdsl {title} {next(NUMBERS)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": f"archdsl_emitted_{title}"}
    exec(builtins.compile(source, file, "exec", dont_inherit=True), namespace)  # else this file's `annotations` too
    name = re.findall(r"^class (\w+)", source, flags=re.MULTILINE)[-1]
    network: nn.Module = namespace[name]()
    return network
