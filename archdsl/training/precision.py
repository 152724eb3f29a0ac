"""What a recipe leaves to the device: precision, memory format, compilation, kernels; the weights stay fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from archdsl.backend.precision import autocast_to
from archdsl.language.recipes.recipe import Recipe

TENSOR_CORES = (7, 0)
"""The compute capability of the first GPUs that have them; Triton, which torch.compile needs, asks for the same."""


def auto_settings(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """Field -> value on a device, of those that the recipe leaves to it."""
    gpu = device.type == "cuda"
    cores = gpu and torch.cuda.get_device_capability(device) >= TENSOR_CORES
    bf16 = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    on_device = {
        "precision": "bf16" if bf16 else "fp32",
        "channels_last": cores,
        "compiled": cores and find_spec("triton") is not None,
    }
    return {name: value for name, value in on_device.items() if getattr(recipe, name) == "auto"}


def recipe_on(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe as it runs on a device: nothing is left to it."""
    settings = auto_settings(recipe, device)
    made: Recipe = recipe.but(**settings) if settings else recipe
    return made


@contextmanager
def fastest_kernels(device: torch.device) -> Iterator[None]:
    """cuDNN tries its kernels at the first map of a shape and keeps the fastest: shapes are fixed."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda" or before
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def autocast_of(recipe: Recipe, device: torch.device) -> torch.autocast:
    """torch.autocast in the recipe's precision."""
    return autocast_to(recipe.precision, device)


def emulation_warning(recipe: Recipe, device: torch.device) -> tuple[str, str] | None:
    """(warning, fix) where the device emulates the precision; None elsewhere."""
    if recipe.precision != "fp16" or device.type != "cpu":
        return None
    return "fp16 on a CPU: torch emulates it, and a step may take minutes", "--set recipe.precision=fp32, or bf16"
