"""torch.compile, stage by stage."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.compiler import Plan
from archdsl.compiler.module_tree import constructed_modules
from archdsl.report.memory.recompute import modules_to_recompute


def compile_stages(network: nn.Module, plan: Plan) -> nn.Module:
    """The network, each of its stages compiled."""
    for address in constructed_modules(plan.graph, modules_to_recompute(plan, "stage")):
        compile_alone(network.get_submodule(address))
    return network


def compiled_modules(stages: list[str], recomputed: list[str]) -> list[str]:
    """Stages; where blocks of one are recomputed, those: torch (2.13) compiles no `checkpoint` with a context."""
    inner = [address for address in recomputed if address not in stages]
    return inner + [stage for stage in stages if not any(block.startswith(f"{stage}.") for block in inner)]


def compile_alone(module: nn.Module) -> None:
    """Compile a module's forward. Stages share code, and torch counts recompilations by it (2.13: 8, then eager)."""
    forward = module.forward

    def stage(*maps: Tensor) -> Any:
        return forward(*maps)

    own_code = FunctionType(stage.__code__.replace(), stage.__globals__, closure=stage.__closure__)
    module.forward = torch.compile(own_code)
