"""One network for each form: members of a family that differ in numbers alone, such as depth and width, are of one."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from archdsl.catalog import zoo
from archdsl.language import Arch
from archdsl.spec.base import Written


def form(value: Any) -> Any:
    """What a part of an arch is made of, numbers left out: equal where networks differ in depth and width alone."""
    if isinstance(value, Written):
        return (type(value), *((name, form(getattr(value, name))) for name in sorted(value.model_fields_set)))
    if isinstance(value, Mapping):
        return tuple((name, form(part)) for name, part in value.items())
    if isinstance(value, tuple):
        return frozenset(map(form, value))
    return "a number" if isinstance(value, int | float | Fraction) and not isinstance(value, bool) else value


def form_of(arch: Arch) -> Any:
    """The form of a whole arch: equal in members of a family that differ in numbers alone."""
    blocks = frozenset(form(block) for *_, block in arch.all_blocks())
    return blocks, tuple(arch.pathways), form(arch.edges), form(arch.head), form(arch.clips), arch.causal


def representatives() -> set[str]:
    """The member with the fewest blocks for each form of each family."""
    smallest: dict[Any, tuple[int, str]] = {}
    for one in zoo():
        arch = one.arch()
        key, size = (one.family, form_of(arch)), (sum(1 for _ in arch.all_blocks()), one.name)
        smallest[key] = min(size, smallest.get(key, size))
    return {name for _, name in smallest.values()}


REPRESENTATIVES = representatives()
