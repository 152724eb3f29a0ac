"""A lateral fusion: from a stage of one pathway into a stage of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from archdsl import ops
from archdsl.blocks.names import Name
from archdsl.errors import SpecError
from archdsl.language.transforms import Transforms
from archdsl.spec.base import Written
from archdsl.spec.scalars import Ratio, Share

StageNames = Annotated[
    tuple[Name, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value), Field(min_length=1)
]

Places = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.\d{1,4})?$", max_length=70)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]


def stage_of(place: str) -> str:
    """The stage of a place that may be a block in it."""
    return place.partition(".")[0]


class Edge(Written):
    """After each stage named in `after`, the source's output, transformed, is merged into the target.

    It is merged into the output of the target's stage of the same name, or of the stage that `into` names in the same
    place of its list. It reads the output of the source's stage, or of a block in it, before anything is merged
    into that; with `merged` after it.
    """

    source: Name = Field(description="pathway it comes from")
    target: Name = Field(description="pathway it goes to")
    after: Places = Field(description="stages of the source, or blocks within them by number: res4.2")
    into: StageNames | None = Field(
        None, description="stages of the target, one for each of `after`; by default the same"
    )
    transform: Transforms = Field((), description="one transform or a list")
    merge: Literal[
        "concat", "prepend", "sum", "stretched_sum", "learnt_mix", "max", "bilinear", "interleave", "unpool", "before"
    ] = Field(
        "concat",
        description="concat (the source's channels behind the target's), prepend (before them), sum, stretched_sum "
        "(axes of size 1 stretch), learnt_mix (a share of each channel), max, bilinear (all pairs of channels), "
        "interleave (frames between behind their key frames), unpool (the target's elements where the largest of each "
        "2x2 of the source lay), or before (the source's frames in front of the target's)",
    )
    merged: bool = Field(False, description="read the source's stage with what is merged into it")
    share: Ratio | None = Field(None, description="with sum: weight of the source; the target's is the rest to 1")
    drop: Share = Field(
        0.0, description="probability in training that the source is heard nowhere in a step, at any of its stages"
    )
    name: Name | None = Field(None, description="by default source_to_target")

    @model_validator(mode="after")
    def _as_many(self) -> Edge:
        if self.into is not None and len(self.into) != len(self.after):
            raise SpecError(
                "`into` and `after` have different lengths", got=f"{len(self.into)} and {len(self.after)}", want="equal"
            )
        return self

    @model_validator(mode="after")
    def _share_means_something(self) -> Edge:
        if self.share is not None and (self.merge != "sum" or self.share >= 1):
            raise SpecError(
                "`share` needs `merge: sum`", got=f"{self.share}, merge: {self.merge}", want="merge: sum, share below 1"
            )
        return self

    @model_validator(mode="after")
    def _merged_is_a_stage(self) -> Edge:
        inner = next((place for place in self.after if "." in place), None)
        if self.merged and inner:
            want = "a stage, into whose end edges merge"
            raise SpecError("`merged` of a block within a stage", got=inner, want=want, fix="merged: false")
        return self

    @property
    def join(self) -> ops.Op:
        """The op that merges the target with the transformed source."""
        return ops.Mix(share=self.share) if self.share else MERGES[self.merge]

    @property
    def place_of_source(self) -> int:
        """Whether the join reads the source second, or first."""
        return 0 if self.merge == "prepend" else 1

    def joined(self, target: str, x: str) -> tuple[str, str]:
        """What the join reads, in order."""
        return (target, x) if self.place_of_source else (x, target)

    @property
    def label(self) -> str:
        """The edge's name in addresses."""
        return self.name or f"{self.source}_to_{self.target}"

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """(stage of the source, or a block in it, stage of the target) for each fusion."""
        return tuple(zip(self.after, self.into or map(stage_of, self.after)))


MERGES: Mapping[str, ops.Op] = {
    "concat": ops.Concat(),
    "prepend": ops.Concat(),
    "sum": ops.Add(),
    "stretched_sum": ops.StretchedAdd(),
    "learnt_mix": ops.LearntMix(),
    "max": ops.Maximum(),
    "bilinear": ops.Bilinear(),
    "interleave": ops.Interleave(),
    "unpool": ops.MaxUnpool(),
    "before": ops.JoinFrames(),
}
