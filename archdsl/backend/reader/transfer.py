"""Weights from one network to another by steps that do the same; no name is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.backend.reader.alignment import Matching
from archdsl.backend.reader.aten import bare
from archdsl.backend.reader.steps import Part, TracedStep
from archdsl.backend.weights.fit import COUNTER


class Carried(NamedTuple):
    """Tensors under the second network's names."""

    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    """Its names for which nothing was found."""


def carried(found: Matching, theirs: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Carried:
    """What the first network's tensors are in the second, from the steps that match."""
    made: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for before, after in found.pairs:
        for role, (name, i, n) in after.weights.items():
            if role in before.weights and not role.startswith("beside"):
                tensor = part_of_rows(theirs, before.weights[role])
                parts.setdefault(name, {})[i] = tensor
                if len(parts[name]) == n:
                    whole = torch.cat([parts[name][k] for k in range(n)]) if n > 1 else tensor
                    take(made, name, whole, own)
        for name, tensor in tables_beside(before, after, theirs, own).items():
            take(made, name, tensor, own)
    missing = (name for name in own if name not in made and not name.endswith(COUNTER))
    return Carried(made, tuple(missing))


def take(made: dict[str, Tensor], name: str, tensor: Tensor, own: Mapping[str, Tensor]) -> None:
    """Keep a tensor under a name, in that one's shape, where only axes of size 1 come or go."""
    if name in own and bare(tensor.shape) == bare(own[name].shape):
        made[name] = tensor.reshape(own[name].shape)


def part_of_rows(theirs: Mapping[str, Tensor], part: Part) -> Tensor:
    """The i-th of n equal parts of a tensor's rows."""
    name, i, n = part
    return theirs[name].chunk(n)[i] if n > 1 else theirs[name]


def tables_beside(
    before: TracedStep, after: TracedStep, theirs: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Class tokens, positions and the like, which stand beside values: by shape in order, then by rows joined.

    A table of ours may be several of theirs, the one of fewer rows first: a class token's position before a map's.
    """
    given = [theirs[name] for role, (name, *_) in before.weights.items() if role.startswith("beside")]
    wanted = [name for role, (name, *_) in after.weights.items() if role.startswith("beside") and name in own]
    made: dict[str, Tensor] = {}
    for name in wanted:
        same = next((i for i, x in enumerate(given) if bare(x.shape) == bare(own[name].shape)), None)
        if same is not None:
            made[name] = given.pop(same)
    rows = {name: own[name].shape for name in wanted if name not in made and own[name].ndim == 2}
    for name, shape in rows.items():
        fits = [x.reshape(-1, shape[-1]) for x in given if x.numel() % shape[-1] == 0]
        if len(fits) > 1 and sum(x.numel() for x in fits) == prod(shape):
            made[name] = torch.cat(sorted(fits, key=len))
    return made
