"""Which source a file of weights is from, and which model of the zoo it fits."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from math import prod
from typing import NamedTuple

from archdsl.backend.weights.translation import Shapes
from archdsl.catalog import zoo
from archdsl.catalog.dialects import Naming, TensorLayout, namings
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Model
from archdsl.report.parameters import weights_of

KNOWN_SHARE = 0.5
"""Share of a file's names that a naming knows, below which it is not tried."""


class Candidate(NamedTuple):
    """A model of the zoo under a naming: how much of it is in a file."""

    naming: Naming | None
    """None for our own addresses."""
    model: str
    matched: int
    """Parameters of the model whose names and sizes are in the file."""
    total: int
    """Parameters of the model."""
    unread: int
    """Names in the file that it does not read."""

    @property
    def title(self) -> str:
        """The naming in words."""
        return self.naming.title if self.naming else "archdsl"


def candidates(found: Shapes) -> list[Candidate]:
    """What a file may be, the best first: the most parameters found, then the fewest names left over."""
    made = sorted(all_candidates(found), key=lambda one: (-one.matched / one.total, -one.matched, one.unread))
    return [one for one in made if one.matched]


def all_candidates(found: Shapes) -> Iterator[Candidate]:
    """Every model under every naming that knows a good part of the file's names; under ours where none does."""
    tried = [naming for naming in namings() if sum(map(naming.knows, found)) >= KNOWN_SHARE * len(found)]
    for model in zoo():
        fitting = [naming for naming in tried if any(fnmatchcase(model.name, pattern) for pattern in naming.models)]
        plan = plan_of_model(model) if fitting or not tried else None
        if plan:
            yield from (candidate(naming, plan, found) for naming in fitting)
        if plan and not tried:
            yield candidate(None, plan, found)


def plan_of_model(model: Model) -> Plan | None:
    """The plan of a model; None where it cannot be made by itself."""
    try:
        return compile(model.arch())
    except SpecError:
        return None


def candidate(naming: Naming | None, plan: Plan, found: Shapes) -> Candidate:
    """One model under one naming."""
    own = weights_of(plan)
    layouts = naming.layouts(own) if naming else {address: TensorLayout((address,)) for address in own}
    read = [address for address, layout in layouts.items() if fits(layout, own[address], found)]
    names = {name for address in read for name in layouts[address].names}
    stems = {name.rpartition(".")[0] for name in names}
    unread = sum(
        name not in names and name.rpartition(".")[0] not in stems and not (naming and naming.ignores(name))
        for name in found
    )
    return Candidate(naming, plan.name, len(read), len(own), unread)


def fits(layout: TensorLayout, shape: tuple[int, ...], found: Shapes) -> bool:
    """Whether a file has a tensor of ours: its names, and as many numbers."""
    names = [name for name in layout.names if name]
    if not all(name in found for name in names):
        return False
    elements = sum(prod(found[name]) for name in names)
    if "" in layout.names:
        return elements < prod(shape)
    return elements == prod(shape) * (layout.part[1] if layout.part else 1)
