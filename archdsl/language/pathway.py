"""A pathway is a named chain of stages, a stage a list of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, WithJsonSchema, model_validator

from archdsl.blocks import BLOCKS, Block
from archdsl.blocks.base import Rounding
from archdsl.blocks.chain import blocks_of, chain_shown, repeat
from archdsl.blocks.names import ClipName, Name
from archdsl.blocks.single_key import kinds_by_key
from archdsl.errors import SpecError, did_you_mean
from archdsl.spec.base import Written
from archdsl.spec.budget import MOST_STAGES
from archdsl.spec.fixes import LONGEST_FIX, flow_yaml
from archdsl.spec.lines import Lines, check_count
from archdsl.spec.scalars import Count, Ratio, Share, Whole

BLOCKS_BY_KEY = kinds_by_key(BLOCKS)


class Stage(Written):
    """A list of blocks, one after the other; the unit of a paper's table.

    In Python `Stage(Conv(...), *repeat(Bottleneck(...), 3))`, in YAML a block `{bottleneck: {...}, repeat: 3}` or a
    list of such.
    """

    blocks: tuple[SerializeAsAny[Block], ...] = Field(min_length=1, description="blocks in order")

    def __init__(self, /, *blocks: Block, **data: Any) -> None:
        super().__init__(**({"blocks": blocks} if blocks else data))

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # as in Written

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("blocks"), list | tuple):
            data = data["blocks"]
        items = data if isinstance(data, list | tuple) else [data]
        blocks = [block for item in items for block in blocks_of(item)]
        return Lines({"blocks": blocks}, data.written, {}) if isinstance(data, Lines) else {"blocks": blocks}


def dumped(stage: Stage) -> Any:
    """A stage as plain data: repeats folded, defaults left out."""
    return chain_shown(stage.blocks)


StageField = Annotated[
    Stage,
    PlainSerializer(dumped),
    WithJsonSchema({"x-archdsl": "Stage"}),
]


def with_names(data: Any) -> Any:
    """The stages. Raises SpecError for a list of them, with the names that they may have as its fix."""
    if not isinstance(data, list) or not data:
        return data
    named: dict[str, Any] = {}
    for i, one in enumerate(data, 1):
        ((key, value), *rest) = one.items() if isinstance(one, Mapping) and one else [("", one)]
        is_name = key and not rest and key not in BLOCKS_BY_KEY
        named[str(key) if is_name else f"stage{i}"] = value if is_name else one
    raise SpecError(
        "stages in a list, which gives them no names",
        got=f"a list of {len(data)}",
        want="stages by name, each a block or a list of blocks",
        fix=fix if len(fix := f"stages: {flow_yaml(named)}") <= LONGEST_FIX else None,
    )


CHOICES = ("every", "linspace", "segments", "pairs")
"""Fields that choose frames; a pathway has one of them at most."""
Interval = Annotated[int, Field(strict=True, ge=2)]


class Pathway(Written):
    """A chain of stages that reads one clip, or another pathway's output, at its own frame stride."""

    clip: ClipName | None = Field(None, description="which clip it reads; by default the only one")
    after: str | None = Field(None, description="instead of a clip: another pathway, or its stage as `slow.res3`")
    every: Count | None = Field(None, description="frames 0, n, 2n, ...; by default every frame")
    start: Whole = Field(0, description="with `every`: the first frame taken")
    linspace: Count | None = Field(None, description="instead: n frames from first to last, truncated (PySlowFast)")
    segments: Count | None = Field(None, description="instead: the middle frame of each of n equal parts (TSN)")
    snippet: Count = Field(1, description="with `segments`: frames in a row taken from the middle of each part")
    pairs: Interval | None = Field(
        None, description="instead: each frame but 0, n, 2n, ... together with the last of those, its key frame"
    )
    width_ratio: Ratio = Field(Fraction(1), description="multiplies every width of the stages")
    width_rounding: Rounding = Field(
        "floor", description="how a multiplied width becomes whole: floor, nearest or ceil"
    )
    drop_path: Share | None = Field(
        None,
        description="probability that branches are dropped in training: of the last block that may, growing from 0",
    )
    tied_to: Name | None = Field(None, description="another pathway of equal stages whose weights this one shares")
    stages: Annotated[dict[Name, StageField], BeforeValidator(with_names)] = Field(
        min_length=1, description="stages by name, in order"
    )

    @model_validator(mode="before")
    @classmethod
    def _known_choice(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            check_count("stages", data.get("stages"), MOST_STAGES)
        chosen = [key for key in CHOICES if isinstance(data, Mapping) and data.get(key) is not None]
        if len(chosen) > 1:
            raise SpecError("frames selected twice", got=" and ".join(chosen), want=f"one of {', '.join(CHOICES)}")
        if isinstance(data, Mapping) and data.get("clip") is not None and data.get("after") is not None:
            raise SpecError("both `clip` and `after`", got="clip and after", want="one of clip, after")
        for key, of in (("start", "every"), ("snippet", "segments")):
            if isinstance(data, Mapping) and data.get(key) is not None and data.get(of) is None:
                raise SpecError(f"{key} without {of}", got=f"{key}: {data[key]}", want=f"{of}: a value")
        return data

    @model_validator(mode="after")
    def _drops_somewhere(self) -> Self:
        if self.drop_path is not None and not any(b.drops_path for stage in self.stages.values() for b in stage.blocks):
            what, want = "drop_path in a pathway without blocks that drop paths", "such as a transformer"
            raise SpecError(what, got=f"drop_path: {self.drop_path}", want=want, fix="drop_path: null")
        return self

    def stage_named(self, name: str) -> Stage:
        """The stage of that name, or SpecError."""
        if name not in self.stages:
            raise SpecError(
                f"no stage {name!r}", got=name, want=", ".join(self.stages), fix=did_you_mean(name, self.stages)
            )
        return self.stages[name]

    def drop_path_rates(self) -> dict[tuple[str, int], float]:
        """(stage, block) -> the rate of each block that drops paths; empty where the pathway says none."""
        if self.drop_path is None:
            return {}
        places = [(name, i) for name, stage in self.stages.items() for i, b in enumerate(stage.blocks) if b.drops_path]
        return {place: self.drop_path * k / max(len(places) - 1, 1) for k, place in enumerate(places)}

    def frames_name(self) -> str:
        """The name of its choice of frames, which stands beside its stages in the graph."""
        name = "frames"
        while name in self.stages:
            name += "_"
        return name

    def of_all_frames(self) -> Pathway:
        """The pathway without its choice of frames."""
        return self.model_copy(update={"every": None, "start": 0, "linspace": None, "segments": None, "snippet": 1})


__all__ = ["Pathway", "Stage", "repeat"]
