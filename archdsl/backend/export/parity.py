"""What a file gives beside what the network gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from archdsl.errors import SpecError

SMALLEST_SCALE = 1e-6
"""Scores are not divided by less."""


def named_outputs(outputs: Any, names: Sequence[str]) -> dict[str, Tensor]:
    """A network's outputs by name, whether it gives one, a dict or a list of them."""
    if isinstance(outputs, Tensor):
        return {names[0]: outputs}
    return dict(outputs) if isinstance(outputs, Mapping) else dict(zip(names, outputs, strict=True))


def largest_difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """The largest difference between two sets of outputs, as a share of the largest number of each output.

    Raises SpecError where shapes differ.
    """
    largest = 0.0
    for name, want in wanted.items():
        got = found[name]
        if got.shape != want.shape:
            raise SpecError(
                "the file gives another shape", at=name, got=str(tuple(got.shape)), want=str(tuple(want.shape))
            )
        if want.numel():
            scale = want.abs().max().clamp_min(SMALLEST_SCALE)
            largest = max(largest, float((got - want).abs().max() / scale))
    return largest


def rounding(network: nn.Module, clips: Any, names: Sequence[str]) -> float:
    """The largest difference of a network's outputs from its own in double precision; 0 for one in 8 bits."""
    if isinstance(network, GraphModule):
        return 0.0
    exact = deepcopy(network).double()
    with torch.no_grad():
        found, wanted = network(clips), exact(in_double(clips))
    made = largest_difference(named_outputs(found, names), named_outputs(wanted, names))
    return made if isfinite(made) else 0.0


def in_double(clips: Any) -> Any:
    """Clips in double precision; ids of words as they are."""
    if isinstance(clips, Mapping):
        return {name: in_double(clip) for name, clip in clips.items()}
    return clips.double() if clips.is_floating_point() else clips
