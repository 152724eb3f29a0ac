"""The precision a network computes in; its weights stay in single."""

from __future__ import annotations

import torch

from archdsl.language.recipes.recipe import Recipe

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def in_precision(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Forward in the recipe's precision."""
    return torch.autocast(device.type, PRECISIONS[recipe.precision], enabled=recipe.precision != "fp32")


def slowness(recipe: Recipe, device: torch.device) -> tuple[str, str] | None:
    """(what is slow, what to do) where a device has no arithmetic of the precision; None where all is well."""
    if recipe.precision != "fp16" or device.type != "cpu":
        return None
    return "fp16 on a CPU: torch emulates it, and a step may take minutes", "--set recipe.precision=fp32, or bf16"
