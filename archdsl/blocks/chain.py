"""Blocks one after the other, as data: what a stage is made of, and a branch within a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SerializeAsAny, WithJsonSchema

import archdsl.blocks as known  # BLOCKS and Drawn are read when a spec is, after every block is defined
from archdsl.blocks.base import Block, add_block
from archdsl.blocks.single_key import fields_by_key, keyed, kinds_by_key, no_such, unkeyed
from archdsl.errors import SpecError, did_you_mean
from archdsl.graph import UNKNOWN, Builder
from archdsl.spec.budget import MOST_REPEATS
from archdsl.spec.fixes import nested_under
from archdsl.spec.lines import Lines


def repeat(block: Block, times: int) -> tuple[Block, ...]:
    """The block `times` times; strides stay with the first, every second one of windows shifts."""
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= MOST_REPEATS:
        raise SpecError("`repeat` is not a whole number", got=repr(times), want=f"repeat: 1 to {MOST_REPEATS}")
    blocks = [block]
    while len(blocks) < times:
        blocks.append(blocks[-1].again())
    return tuple(blocks)


def folded(blocks: Sequence[Block]) -> Iterator[tuple[Block, int]]:
    """Blocks in order, each with how many times it stands: the inverse of `repeat`."""
    rest = list(blocks)
    while rest:
        first = last = rest.pop(0)
        times = 1
        while rest and rest[0] == last.again():
            last = rest.pop(0)
            times += 1
        yield first, times


def blocks_of(item: Any) -> Iterator[Block]:
    """One item of a chain: a block, or a mapping of a block's name to its fields, and maybe `repeat`."""
    if isinstance(item, Block):
        yield item
        return
    by_key = kinds_by_key(known.BLOCKS)
    if isinstance(item, str) and item in by_key:
        item = {item: None}
    if not isinstance(item, Mapping):
        fix = did_you_mean(item, by_key) or f"{item}: {{}}" if isinstance(item, str) else None
        want = "{conv: {channels: 64}}, {bottleneck: {channels: 256}, repeat: 3}, ..."
        raise SpecError("not a block", got=repr(item), want=want, fix=fix)
    times = item.get("repeat", 1)
    rest: Any = {key: value for key, value in item.items() if key != "repeat"}
    if isinstance(item, Lines):
        rest = Lines(rest, item.written, item.keys_written)
    if len(rest) == 1 and next(iter(rest)) not in by_key:
        ((key, values),) = rest.items()
        if not isinstance(values, Mapping | None):
            fix = nested_under(rest, fields_by_key(by_key))
            raise no_such(str(key), by_key, "block", fix).placed(written=getattr(item, "written", None))
        block: Any = known.Drawn(name=str(key), values=values or {})
        block._written = getattr(item, "written", None)
    else:
        block = unkeyed(rest, by_key, "block")
    yield from repeat(block, times)


def chain_data(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Blocks as plain data: repeats folded, defaults left out."""
    return [block_data(first) | ({"repeat": times} if times > 1 else {}) for first, times in folded(blocks)]


def block_data(block: Block) -> dict[str, Any]:
    """A block as `{name: fields}`."""
    if isinstance(block, known.Drawn):
        return {block.name: dict(block.values)}
    return keyed(block, kinds_by_key(known.BLOCKS), "block")


def chain_shown(blocks: Sequence[Block]) -> Any:
    """Blocks as plain data; one block stands alone."""
    items = chain_data(blocks)
    return items[0] if len(items) == 1 else items


def chained(data: Any) -> Any:
    """One block or a list of them, made or as data."""
    items = data if isinstance(data, list | tuple) else [data]
    return tuple(block for item in items for block in blocks_of(item))


Chain = Annotated[
    tuple[SerializeAsAny[Block], ...],
    BeforeValidator(chained),
    PlainSerializer(chain_shown),
    WithJsonSchema({"x-archdsl": "Chain"}),
]
"""Blocks one after the other within a block; none of them leaves the map as it is."""


def single(data: Any) -> Block:
    """One block, made or as data."""
    blocks = chained(data)
    if len(blocks) != 1:
        raise SpecError("not one block", got=f"{len(blocks)} blocks", want="one block")
    return blocks[0]


BlockField = Annotated[SerializeAsAny[Block], BeforeValidator(single)]
"""One block."""


def add_chain(g: Builder, name: str, blocks: Sequence[Block], x: str) -> str:
    """Blocks under a name, numbered from 0; the map itself where there are none."""
    if not blocks:
        return x
    y = UNKNOWN
    with g.inside(name, "Branch"):
        y = x
        for i, block in enumerate(blocks):
            y = add_block(g, str(i), block, y)
    return y
