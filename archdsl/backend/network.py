"""Source -> network. What is executed is exactly the text that `emit` gives."""

from __future__ import annotations

import builtins
import copyreg
import linecache
import re
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archdsl.backend.emission import Emission, emit
from archdsl.backend.features import FeatureReader
from archdsl.backend.passes import Lower, passes_taken
from archdsl.compiler import Plan, plan_of
from archdsl.errors.extras import import_with_extras
from archdsl.graph import Graph
from archdsl.language import Arch


def build(
    arch_or_plan: Arch | Plan, lower: Lower = "none", *, train: bool | None = None, weights: str | Path | None = None
) -> nn.Module:
    """The network as a torch module.

    It takes one clip (n, c, t, h, w), or a dict of clips by name where the arch has several, and chooses frames
    itself. `state_dict` keys are the addresses of the plan. `lower` names the passes that make it quick: "none" is the
    literal network, "auto" what pays on this device, for inference unless `train`; all load and save one state_dict.
    `network.features(clip, at=[...])` gives values of its inside by their addresses, unless a pathway is called so.
    `weights` is a file of ours or of anyone whose names are known (zoo/weights).
    Raises SpecError where the arch cannot be, and for weights of another network.
    """
    plan = plan_of(arch_or_plan)
    network = network_from_source(emit(plan, lower, train=train), plan.name)
    if train and "channels_last" in passes_taken(lower, train=True):
        kernels_channels_last(network)
    kind: Any = type(network)
    kind.features = FeatureReader(plan, build)
    if weights is not None:
        import_with_extras("archdsl.backend.weights").load_weights(network, weights)
    return network


def kernels_channels_last(network: nn.Module) -> None:
    """Lay kernels out as channels-last maps are: in training each step would copy them, and their gradients, twice."""
    for kernel in network.parameters():
        if kernel.ndim == 5:
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last_3d)


def build_graph(graph: Graph, name: str = "Network") -> nn.Module:
    """A bare graph as a torch module, for tests of single ops."""
    return network_from_source(Emission(graph, name).text(), "graph")


def network_from_source(source: str, title: str) -> nn.Module:
    """The network, the last class of its source, constructed."""
    network: nn.Module = class_in(source, f"archdsl_emitted_{title}_{sha256(source.encode()).hexdigest()[:16]}")()
    return network


def class_in(source: str, name: str) -> Any:
    """The network's class in the module of that name, which is made from the source where Python does not know it."""
    module = sys.modules.get(name) or module_from_source(source, name)
    return getattr(module, re.findall(r"^class (\w+)", source, flags=re.MULTILINE)[-1])


def module_from_source(source: str, name: str) -> ModuleType:
    """The source as a module that Python knows: tracebacks, `inspect.getsource`, pickle, torch.compile look there."""
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(keepends=True), module.__file__)
    code = builtins.compile(source, module.__file__, "exec", dont_inherit=True)  # else this file's `annotations` too
    exec(code, vars(module))
    module = sys.modules.setdefault(name, module)
    copyreg.pickle(class_in(source, name), lambda network: (network_without_state, (source, name), vars(network)))
    return module


def network_without_state(source: str, name: str) -> nn.Module:
    """A network without its state. It brings its source along: another process has no module of that name."""
    kind = class_in(source, name)
    network: nn.Module = kind.__new__(kind)
    return network
