"""What every head has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.base import Written
from archdsl.spec.scalars import Distinct


def frame_features(g: Builder, ends: dict[str, str], dropout: float, noun: str) -> str:
    """The only pathway's end, each frame pooled to a vector and dropped.  (c, t, h, w) -> (c, t, 1, 1)"""
    if len(ends) != 1:
        raise SpecError(f"{noun} of several pathways", got=", ".join(ends), want="one pathway", fix="several heads")
    (x,) = ends.values()
    x = g.add("pool", ops.AdaptiveAvgPool(size=(0, 1, 1)), x)
    return g.add("dropout", ops.Dropout(p=dropout), x) if dropout else x


def boxes_clip(g: Builder, name: str) -> str:
    """The clip of that name, which holds boxes. Raises SpecError where there is none."""
    if name not in g.clips:
        raise SpecError(f"no clip {name!r}", got=name, want=", ".join(g.clips), fix="a clip of modality boxes")
    return name


class Head(Written):
    """Reads the ends of the pathways, in order, and gives named outputs."""

    reads: Annotated[tuple[Name, ...], Distinct] | None = Field(
        None, description="pathways it reads; by default all that end"
    )

    @property
    def task(self) -> str:
        """What its outputs are for, where a recipe does not say otherwise: the name of a task."""
        return "classification"

    @property
    def pathways(self) -> tuple[str, ...] | None:
        """The pathways it reads; None for all that end."""
        return self.reads

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        """Add ops that read `ends` (pathway -> value); give output name -> value."""
        raise SpecError(
            f"{type(self).__name__} has no build",
            written=self.written,
            want="a method that adds ops",
            fix="def build(self, g, ends): ...",
        )
