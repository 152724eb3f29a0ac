"""A pathway is a named chain of stages, a stage a list of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, WithJsonSchema, model_validator

from archdsl.blocks import BLOCKS, Block, Drawn
from archdsl.blocks.base import Rounding
from archdsl.errors import SpecError, did_you_mean
from archdsl.language.keyed import fields_of, keyed, kinds_by_key, unkeyed
from archdsl.language.names import Name
from archdsl.ops import key_of
from archdsl.written import Count, Lines, Ratio, Written

BLOCKS_BY_KEY = kinds_by_key(BLOCKS)


def repeat(block: Block, times: int) -> tuple[Block, ...]:
    """The block `times` times; strides stay with the first."""
    return (block, *[block.again()] * (times - 1))


class Stage(Written):
    """A list of blocks, one after the other; the unit of a paper's table.

    In Python `Stage(Conv(...), *repeat(Bottleneck(...), 3))`, in YAML a block `{bottleneck: {...}, repeat: 3}` or a
    list of such.
    """

    blocks: tuple[SerializeAsAny[Block], ...] = Field(min_length=1, description="blocks in order")

    def __init__(self, /, *blocks: Block, **data: Any) -> None:
        super().__init__(**({"blocks": blocks} if blocks else data))

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "blocks" in data and all(isinstance(b, Block) for b in data["blocks"]):
            return data
        items = data if isinstance(data, list | tuple) else [data]
        blocks = [block for item in items for block in blocks_of(item)]
        return Lines({"blocks": blocks}, data.written, {}) if isinstance(data, Lines) else {"blocks": blocks}


def blocks_of(item: Any) -> Iterator[Block]:
    """One item of a stage: a block, or a mapping of a block's name to its fields, and maybe `repeat`."""
    if isinstance(item, Block):
        yield item
        return
    if not isinstance(item, Mapping):
        raise SpecError("not a block", got=repr(item), want="{conv: {channels: 64}}, {bottleneck: {channels: 256}, repeat: 3}, ...")
    times = item.get("repeat", 1)
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise SpecError("a repeat that is not a whole number", got=repr(times), want="repeat: 1 or more")
    rest = {key: value for key, value in item.items() if key != "repeat"}
    if isinstance(item, Lines):
        rest = Lines(rest, item.written, item.keys_written)
    if len(rest) == 1 and next(iter(rest)) not in BLOCKS_BY_KEY:
        ((key, values),) = rest.items()
        block: Any = Drawn(name=str(key), values=values or {})
        block._written = getattr(item, "written", None)
    else:
        block = unkeyed(rest, BLOCKS_BY_KEY, "block")
    yield from repeat(block, times)


def dumped(stage: Stage) -> Any:
    """A stage as plain data: repeats folded, defaults left out."""
    items: list[dict[str, Any]] = []
    blocks = list(stage.blocks)
    while blocks:
        first, *blocks = blocks
        times = 1
        while blocks and blocks[0] == first.again():
            blocks.pop(0)
            times += 1
        items.append(block_data(first) | ({"repeat": times} if times > 1 else {}))
    return items[0] if len(items) == 1 else items


def block_data(block: Block) -> dict[str, Any]:
    """A block as `{name: fields}`."""
    if isinstance(block, Drawn):
        return {block.name: dict(block.values)}
    if type(block) not in BLOCKS:
        raise SpecError(
            f"{type(block).__name__} is a block of Python and has no YAML form",
            written=block.written,
            got=type(block).__name__,
            want=f"one of {', '.join(BLOCKS_BY_KEY)}, or a block drawn in YAML",
            fix="keep this spec in Python, or draw the block under `blocks:`",
        )
    return keyed(block)


StageField = Annotated[
    Stage,
    PlainSerializer(dumped),
    WithJsonSchema({"$ref": "#/$defs/Stage"}),
]


class Pathway(Written):
    """A chain of stages that reads one clip, or another pathway's output, at its own frame stride."""

    clip: Name | None = Field(None, description="which clip it reads; by default the only one")
    after: str | None = Field(None, description="instead of a clip: another pathway, or its stage as `slow.res3`")
    every: Count | None = Field(None, description="frames 0, n, 2n, ...; by default every frame")
    linspace: Count | None = Field(None, description="instead: n frames from first to last, truncated (PySlowFast)")
    segments: Count | None = Field(None, description="instead: the middle frame of each of n equal parts (TSN)")
    width_ratio: Ratio = Field(Fraction(1), description="multiplies every width of the stages")
    width_rounding: Rounding = Field("floor", description="how a multiplied width becomes whole: floor, nearest or ceil")
    tied_to: Name | None = Field(None, description="another pathway of equal stages whose weights this one shares")
    stages: dict[Name, StageField] = Field(min_length=1, description="stages by name, in order")

    @model_validator(mode="before")
    @classmethod
    def _known_choice(cls, data: Any) -> Any:
        chosen = [key for key in ("every", "linspace", "segments") if isinstance(data, Mapping) and data.get(key) is not None]
        if len(chosen) > 1:
            raise SpecError("frames chosen twice", got=" and ".join(chosen), want="one of every, linspace, segments")
        if isinstance(data, Mapping) and data.get("clip") is not None and data.get("after") is not None:
            raise SpecError("a pathway that reads two things", got="clip and after", want="one of clip, after")
        return data

    def stage_named(self, name: str) -> Stage:
        """The stage of that name, or SpecError."""
        if name not in self.stages:
            raise SpecError(f"no stage {name!r}", got=name, want=", ".join(self.stages), fix=did_you_mean(name, self.stages))
        return self.stages[name]


__all__ = ["Pathway", "Stage", "block_data", "fields_of", "key_of", "repeat"]
