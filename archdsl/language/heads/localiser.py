"""A head for what is said at every position of a sequence, and of every proposal."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.spec.scalars import Distinct


class Localiser(Head):
    """Each pathway's end leaves under the pathway's name.  ends -> (c, t) each, `maps` -> (c, 1, durations, starts)

    A map holds scores of proposals, its durations along h and its starts along w; it is 0 where a proposal would run
    beyond the end of the sequence.
    """

    maps: Annotated[tuple[Name, ...], Distinct] = Field(
        (), description="pathways that end in maps over durations and starts"
    )

    @property
    def task(self) -> str:
        return "localisation"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        for name in self.maps:
            if name not in ends:
                raise SpecError(f"no end {name!r}", got=name, want=", ".join(ends))
        return {
            name: g.add(name, ops.ValidProposals() if name in self.maps else ops.Series(), x)
            for name, x in ends.items()
        }
