"""Low-rank terms merged into the layers they stand beside: W' = W + alpha / rank B A."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from archdsl.compiler import Plan, plan_of
from archdsl.compiler.lora import PART
from archdsl.language import Arch


def merged_lora(arch_or_plan: Arch | Plan, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the arch without its low-rank terms, which give what a network with them gives."""
    arch = plan_of(arch_or_plan).arch
    merged = {name: value for name, value in state.items() if f"_{PART}." not in name}
    for name, up in state.items():
        if arch.lora and name.endswith(f"_{PART}.up.weight"):
            layer = name.removesuffix(f"_{PART}.up.weight")
            down = state[f"{layer}_{PART}.down.weight"]
            merged[f"{layer}.weight"] = merged[f"{layer}.weight"] + arch.lora.scale * up @ down
    return merged
