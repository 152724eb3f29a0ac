"""One attention of a transformer block: along which axes, with which blocks around it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from archdsl.blocks.chain import Chain
from archdsl.ops.multi_head import Over
from archdsl.spec.base import Written
from archdsl.spec.scalars import Whole


class Attend(Written):
    """One attention of a block. In YAML its axes alone may stand for it: `attend: [t, hw]`."""

    over: Over | Annotated[tuple[Over, ...], Field(min_length=1)] = Field(
        "thw", description="axes that attend, or a list: equal parts of the heads each"
    )
    frames: Whole | None = Field(
        None, description="frames that each reads, its own the last: 0 for all so far; by default later ones too"
    )
    linear: bool = Field(False, description="whether a second linear layer, which starts at 0, follows the attention")
    shared: bool = Field(False, description="whether norm and linear layers are those of the block's other attention")
    before: Chain = Field((), description="blocks between the norm and queries, keys and values, such as an adapter")
    after: Chain = Field((), description="blocks behind the attention, such as an adapter")

    @property
    def axes(self) -> tuple[Over, ...]:
        """The axes of each part of the heads."""
        return (self.over,) if isinstance(self.over, str) else self.over

    @property
    def name(self) -> str:
        """What it is called in a block with several."""
        return "_".join(self.axes)


def as_attends(value: Any) -> Any:
    """Words and mappings as a list of attentions."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"over": item} if isinstance(item, str) else item for item in items)


def attends_shown(attends: tuple[Attend, ...]) -> Any:
    """The inverse: words where they say all."""
    return [
        one.over
        if one == Attend(over=one.over) and isinstance(one.over, str)
        else one.model_dump(mode="json", exclude_defaults=True)
        for one in attends
    ]


Attends = Annotated[
    tuple[Attend, ...],
    BeforeValidator(as_attends, json_schema_input_type=Over | Attend | tuple[Over | Attend, ...]),
    PlainSerializer(attends_shown),
    Field(min_length=1),
]
