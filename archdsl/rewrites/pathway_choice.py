"""Which pathway a rewrite is about."""

from __future__ import annotations

from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Arch, Pathway


def chosen_pathway(arch: Arch, name: str | None) -> tuple[str, Pathway]:
    """The pathway of that name, or the only one."""
    if name is None and len(arch.pathways) == 1:
        return next(iter(arch.pathways.items()))
    if name not in arch.pathways:
        got = name or f"{len(arch.pathways)} pathways and none named"
        near = did_you_mean(name, arch.pathways) if name else None
        raise SpecError("no such pathway", written=arch.written, got=got, want=", ".join(arch.pathways), fix=near)
    assert name is not None
    return name, arch.pathways[name]
