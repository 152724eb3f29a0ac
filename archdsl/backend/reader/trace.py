"""Any torch module as a graph of aten ops without in-place ones, its weights by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import Node

from archdsl.backend.export.program import EXPORT_ERRORS, quietly, refusal_text
from archdsl.errors import SpecError


class TracedModule(NamedTuple):
    """What a module computes."""

    nodes: tuple[Node, ...]
    """Calls of aten ops, in an order in which they can run."""
    inputs: dict[str, Tensor]
    """Placeholder -> what it stands for: a clip, without its numbers."""
    weights: dict[str, str]
    """Placeholder -> name of a parameter or a buffer."""
    parameters: frozenset[str]
    """Names of parameters."""
    outputs: tuple[Node, ...]


def traced_module(module: nn.Module, clips: Any) -> TracedModule:
    """What a module does with clips: one tensor, or a list, a tuple or a dict of them. Raises SpecError."""
    training, module = module.training, module.eval()
    args = clips if isinstance(clips, tuple) else (clips,)
    try:
        program = quietly(lambda: torch.export.export(module, args).run_decompositions({}))
    except EXPORT_ERRORS as error:
        raise SpecError(
            "torch.export cannot trace this module",
            got=refusal_text(error),
            want="a forward whose path does not depend on the numbers of the clip",
            fix="a clip of another shape, or a module around it whose forward takes the clip alone",
        ) from None
    finally:
        module.train(training)
    sign = program.graph_signature
    weights: Mapping[str, str] = {**sign.inputs_to_parameters, **sign.inputs_to_buffers}
    nodes = list(program.graph.nodes)
    inputs = {node.name: node.meta["val"] for node in nodes if node.name in sign.user_inputs}
    leaving = nodes[-1].args[0]
    made = {node.name: node for node in nodes}
    outputs = tuple(node for node in leaving if isinstance(node, Node) and made[node.name].op == "call_function")
    calls = tuple(node for node in nodes if node.op == "call_function")
    return TracedModule(calls, inputs, dict(weights), frozenset(sign.parameters), outputs)


def innermost_module(node: Node) -> tuple[str, str]:
    """(path, class) of the innermost module around a call; an empty path is the module itself."""
    found = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = found[-1] if found else ("", "")
    name = kind if isinstance(kind, str) else kind.__name__
    return str(path), name.rpartition(".")[2]


def module_classes(node: Node) -> dict[str, str]:
    """Path -> class of every module around a call, from the outermost."""
    found = (node.meta.get("nn_module_stack") or {}).values()
    return {str(path): str(kind).rpartition(".")[2].rstrip("'>") for path, kind in found if path}
