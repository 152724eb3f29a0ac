"""Precisions by name: torch.autocast, in which weights stay fp32."""

from __future__ import annotations

import torch

AUTOCAST_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast_to(precision: str, device: torch.device, *, cached: bool = True) -> torch.autocast:
    """torch.autocast in a precision. `cached`: weights are cast once within it, else at each use."""
    enabled = precision != "fp32"
    return torch.autocast(device.type, AUTOCAST_TYPES[precision], enabled=enabled, cache_enabled=cached)
