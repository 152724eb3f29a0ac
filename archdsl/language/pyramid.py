"""A pyramid of maps (FPN, arXiv:1612.03144): levels of a backbone at one width, each with what lies above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from archdsl.blocks import Conv
from archdsl.blocks.base import Norm, NormField, Width
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.language.edge import Edge
from archdsl.language.pathway import Pathway, Stage
from archdsl.language.transforms import ResizeTo
from archdsl.ops.conv import Init
from archdsl.spec.base import Written, read_model

LevelSource = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$", max_length=140)]


class Pyramid(Written):
    """Pathways by name, from fine to coarse, each behind a pathway or its stage: `{p2: rgb.res2, p3: rgb.res3}`.

    A 1x1 convolution brings each to `channels`; the level above, enlarged to the nearest, is added; what is summed goes
    down to the next level, and through a 3x3 convolution out of this one.
    """

    levels: dict[Name, LevelSource] = Field(
        min_length=1, description="names of the levels' pathways, and what each reads"
    )
    channels: Width = Field(256, description="channels of every level")
    norm: NormField = Field(Norm(kind="none"), description="batch, group, none, or a mapping, behind each convolution")
    init: Init = Field("xavier", description="how weights are drawn")

    @property
    def pathways(self) -> dict[str, Pathway]:
        """The levels."""
        lateral = Conv(channels=self.channels, norm=self.norm, act="none", init=self.init)
        stages = {"lateral": Stage(lateral), "level": Stage(lateral.but(kernel=(1, 3, 3)))}
        return {name: Pathway(after=source, stages=stages) for name, source in self.levels.items()}

    @property
    def edges(self) -> tuple[Edge, ...]:
        """From each level down to the finer one."""
        names = [*self.levels]
        return tuple(
            Edge(source=above, target=below, after="lateral", transform=ResizeTo(), merge="sum", merged=True)
            for below, above in zip(names[-2::-1], names[:0:-1])
        )


def with_pyramid(data: dict[str, Any]) -> dict[str, Any]:
    """`pyramid: {levels: {...}}` as the pathways and edges that it means."""
    given = data.pop("pyramid")
    try:
        pyramid = given if isinstance(given, Pyramid) else read_model(Pyramid, given)
    except SpecError as error:
        raise error.under("pyramid") from None
    known = data.get("pathways", {})
    twice = next((name for name in pyramid.levels if isinstance(known, Mapping) and name in known), None)
    if twice:
        what, want = f"a level of the pyramid and a pathway with the same name {twice!r}", "different names"
        raise SpecError(what, at=f"pyramid.levels.{twice}", written=pyramid.written, got=twice, want=want)
    if isinstance(known, Mapping):
        data["pathways"] = {**known, **pyramid.pathways}
    edges = data.get("edges") or ()
    if isinstance(edges, list | tuple):
        data["edges"] = (*edges, *pyramid.edges)
    return data
