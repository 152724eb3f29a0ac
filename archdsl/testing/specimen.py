"""A network as its properties are asked of it: in double precision, with weights that are all at work, and clips."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.backend import build
from archdsl.backend.example_clips import random_clips
from archdsl.compiler import Plan, compile
from archdsl.language import Arch


class Specimen:
    """An arch, its plan and its network in double precision, with weights that are all at work."""

    def __init__(self, arch: Arch, seed: int = 0) -> None:
        self.arch, self.seed = arch, seed

    @cached_property
    def plan(self) -> Plan:
        """The plan."""
        return compile(self.arch)

    @cached_property
    def network(self) -> nn.Module:
        """The literal network, in eval mode."""
        torch.manual_seed(self.seed)
        return scattered(build(self.plan).double()).eval()

    @cached_property
    def clips(self) -> Any:
        """Two clips."""
        torch.manual_seed(self.seed)
        return mapped(random_clips(self.plan, batch=2, device="cpu"), partial(in_precision, torch.float64))

    @cached_property
    def answer(self) -> dict[str, Tensor]:
        """What the network gives for the clips."""
        with torch.no_grad():
            return named_outputs_of(self.network(self.clips))


def scattered(network: nn.Module) -> nn.Module:
    """Weights, scales and running statistics moved off where they start, so that none is 0 or 1; no dropout."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for part in network.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_var is not None:
                part.running_var.uniform_(0.5, 1.5)
                if part.running_mean is not None:
                    part.running_mean.normal_(std=0.1)
            if isinstance(part, nn.Dropout):
                part.p = 0.0
    return network


def mapped(clips: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """One clip or several, each changed."""
    return {name: change(clip) for name, clip in clips.items()} if isinstance(clips, dict) else change(clips)


def in_precision(dtype: torch.dtype, clip: Tensor) -> Tensor:
    """A clip in a precision; ids of tokens stay whole."""
    return clip.to(dtype) if clip.is_floating_point() else clip


def named_outputs_of(outputs: Any) -> dict[str, Tensor]:
    """Outputs by name."""
    return outputs if isinstance(outputs, dict) else {"output": outputs}
