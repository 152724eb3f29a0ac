"""Autocast precision; the weights stay fp32."""

from __future__ import annotations

import torch

from archdsl.language.recipes.recipe import Recipe

AUTOCAST_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast_of(recipe: Recipe, device: torch.device) -> torch.autocast:
    """torch.autocast in the recipe's precision."""
    return torch.autocast(device.type, AUTOCAST_TYPES[recipe.precision], enabled=recipe.precision != "fp32")


def emulation_warning(recipe: Recipe, device: torch.device) -> tuple[str, str] | None:
    """(warning, fix) where the device emulates the precision; None elsewhere."""
    if recipe.precision != "fp16" or device.type != "cpu":
        return None
    return "fp16 on a CPU: torch emulates it, and a step may take minutes", "--set recipe.precision=fp32, or bf16"
