"""Random clips that a network takes."""

from __future__ import annotations

from typing import Any

import torch

from archdsl.compiler import Plan


def random_clips(plan: Plan, batch: int = 1, device: str = "meta") -> Any:
    """What the network takes: random clips of the plan's sizes, one tensor or a dict of several."""
    clips = {name: torch.randn(batch, *shape, device=device) for name, shape in plan.inputs.items()}
    return clips if len(clips) > 1 else next(iter(clips.values()))
