"""The precision a network computes in; its weights stay in single."""

from __future__ import annotations

import torch

from archdsl.language.recipe import Recipe

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def in_precision(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Forward in the recipe's precision."""
    return torch.autocast(device.type, PRECISIONS[recipe.precision], enabled=recipe.precision != "fp32")
