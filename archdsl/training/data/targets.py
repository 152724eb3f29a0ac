"""Targets: what is true of a clip, as tensors in nested dicts and lists.

In a sample a leaf is a tensor. In a batch a tensor has the clips along its first axis, and a list has one entry per
clip: so targets whose length varies from clip to clip stand in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Targets = Any
"""A tensor, or a dict or a list of targets: mypy has no recursive types that fit all tasks."""


def map_targets(fn: Callable[[Any], Any], targets: Targets) -> Any:
    """The same dicts and lists, with `fn` of every leaf."""
    if isinstance(targets, dict):
        return {name: map_targets(fn, one) for name, one in targets.items()}
    if isinstance(targets, list):
        return [map_targets(fn, one) for one in targets]
    return fn(targets)


def tensors_of(targets: Targets) -> Iterator[Tensor]:
    """Every leaf, in order."""
    if isinstance(targets, dict | list):
        for one in targets.values() if isinstance(targets, dict) else targets:
            yield from tensors_of(one)
    else:
        yield targets


def stack_targets(samples: Sequence[Targets]) -> Targets:
    """Targets of several clips as those of a batch: tensors are stacked, lists become a list of one per clip."""
    first = samples[0]
    if isinstance(first, dict):
        return {name: stack_targets([one[name] for one in samples]) for name in first}
    return list(samples) if isinstance(first, list) else torch.stack([*samples])


def targets_of_clips(targets: Targets, clips: slice | int) -> Targets:
    """The targets of some clips of a batch, or of one."""
    if isinstance(targets, dict):
        return {name: targets_of_clips(one, clips) for name, one in targets.items()}
    return targets[clips]


def targets_to(targets: Targets, device: torch.device) -> Targets:
    """Targets on a device."""
    return map_targets(lambda x: x.to(device), targets)
